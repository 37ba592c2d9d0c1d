"""64 workers on a semaphore of two, with kills, lost replies and leases that run out: never three hold it.

LIMITER_ACQUISITIONS says how many grants to wait for; 10000 by default.
"""

import os

from limiter_scripts.crowd import GRANT_AGAIN, Crowd
from limiter_scripts.lab import Lab

ACQUISITIONS = int(os.environ.get("LIMITER_ACQUISITIONS", "10000"))
WORKERS, LIMIT, LEASE_MS = 64, 2, 25


def test_never_three_hold_a_semaphore_of_two(redis_server, tmp_path):
    with Lab(redis_server, virtual=False) as lab:
        shas = lab.sha("sem_acquire"), lab.sha("sem_release")
        counts, limit_s = [], ACQUISITIONS // 400 + 20
        crowd = Crowd(tmp_path, WORKERS, redis_server.port, *shas, LIMIT, LEASE_MS)
        crowd.run(ACQUISITIONS, lambda: counts.append(lab.run("sem_count", ["k", "k:p", "k:d"])[0]), limit_s)
        assert crowd.most_holders() == LIMIT == max(counts)
        again = sum(kind == GRANT_AGAIN for events in crowd.events() for kind, _, _ in events)
        assert again >= ACQUISITIONS // 200 and crowd.kills >= ACQUISITIONS // 1000
        assert lab.call("ZCARD", "k") < 100 and lab.call("HLEN", "k:m") < 300
