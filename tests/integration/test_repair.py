"""Rules of repair on the way: racy clients that nobody changed keep to their limits, and all else goes as it did."""

import pytest
import redis

from harness import ErrorReply, encode, wait_until
from incident_app import Crowd, Slots, together
from limits import rule_settings

RUNS = {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "5"}
HITS = {"kind": "incr", "match": "key:rl:*", "mode": "enforce", "ttl": "60s"}
TRIES = {"kind": "counter", "match": "key:otp:*", "mode": "enforce", "max": "3", "ttl": "60s"}
RULES = {"runs": RUNS, "hits": HITS, "tries": TRIES}
HELD = "rg:{%s}:p:%s"


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with a rule for each way of limiting."""
    return start_respgate(redis_server, settings=rule_settings(RULES))


def pool_of(port, size):
    """A redis-py client whose threads share so many connections, so that they swap them."""
    return redis.Redis(connection_pool=redis.BlockingConnectionPool(max_connections=size, port=port, timeout=30))


def reservations(server, key):
    """How many of them a key has."""
    names = server.call("KEYS", f"rg:*:p:{key}")
    return sum(server.call("ZCARD", name) for name in names)


# ---- the incident ----

@pytest.mark.parametrize("size", [16, 20])
def test_all_ask_before_anyone_acts(redis_server, gate, size):
    assert together(pool_of(redis_server.port, size), 16, 5, "direct") == 16
    assert together(pool_of(gate.port, size), 16, 5) == 5
    assert redis_server.call("ZCARD", "concurrent:agent:7") == 5


@pytest.mark.parametrize("size", [16, 3], ids=["a connection each", "connections swapped"])
def test_a_crowd_never_exceeds_its_limit(gate, figure, size):
    client, crowd = pool_of(gate.port, size), Crowd()
    most = crowd.run([(Slots(client, 5), 60, 0.004)] * 16)
    figure(f"{crowd.runs} runs of 16 threads over {size} connections: at most {most} at one time (5 allowed)")
    assert most <= 5 and crowd.runs > 60


def test_several_applications_share_a_limit(start_respgate, redis_server):
    gates = [start_respgate(redis_server, settings=rule_settings(RULES)) for _ in range(2)]
    crowd = Crowd()
    slots = [Slots(pool_of(gate.port, 8), 5) for gate in gates]
    assert crowd.run([(slots[i % 2], 40, 0.004) for i in range(16)]) <= 5 < crowd.runs
