"""The incident's application in crowds, against the same limiter done right (one script): never above the limit, and
how many of its places are in use, whatever its connections, its crashes and those who only look."""

import threading
import time

import pytest
import redis

from harness import wait_until
from incident_app import Crowd, Slots
from limits import rule_settings

RULES = {"runs": {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "5"}}
THREADS, MOST, HOLD_S = 16, 5, 0.02
SECONDS = 3.0
ATOMIC = """
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
return redis.call('ZADD', KEYS[1], 1, ARGV[1])
"""


class Done:
    """The limiter as it should have been."""

    def __init__(self, client):
        self.client, self.script, self.count = client, client.register_script(ATOMIC), 0

    def acquire(self):
        """A token, or None."""
        self.count += 1
        token = f"{threading.get_ident()}:{self.count}"
        return token if self.script(keys=["right"], args=[token, MOST]) else None

    def release(self, token):
        """The run is over."""
        self.client.zrem("right", token)


class Dying(Slots):
    """Each 100th time its process dies after it asked, and another one takes its place."""

    def __init__(self, port):
        self.port, self.attempts = port, 0
        super().__init__(redis.Redis(port=port), MOST, between=self.die_sometimes)

    def die_sometimes(self):
        """Between check and act."""
        self.attempts += 1
        if self.attempts % 100 == 0:
            self.client.close()
            self.client = redis.Redis(port=self.port)
            raise redis.ConnectionError("killed")

    def acquire(self):
        """None where it died."""
        before = self.client
        token = super().acquire()
        return token if self.client is before else None


def used(slots_of, seconds=SECONDS):
    """How many runs a second, and how many at one time at most."""
    crowd, ends = Crowd(), time.monotonic() + seconds

    def live():
        slots = slots_of()
        while time.monotonic() < ends:
            crowd.work(slots, 1, HOLD_S)

    threads = [threading.Thread(target=live) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return crowd.runs / seconds, crowd.most


def shared_pool(port, size):
    """One client for all threads."""
    client = redis.Redis(connection_pool=redis.BlockingConnectionPool(max_connections=size, port=port, timeout=30))
    return lambda: Slots(client, MOST)


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with the rule."""
    return start_respgate(redis_server, settings=rule_settings(RULES))


@pytest.mark.figures
@pytest.mark.parametrize("way", ["a pool", "a pool that swaps connections", "clients that die in between", "a monitor"])
def test_places_in_use(redis_server, gate, figure, way):
    right, most = used(lambda: Done(redis.Redis(port=redis_server.port)))
    assert most == MOST
    ways = {"a pool": shared_pool(gate.port, THREADS), "a pool that swaps connections": shared_pool(gate.port, 4),
            "clients that die in between": lambda: Dying(gate.port), "a monitor": shared_pool(gate.port, THREADS)}
    over = threading.Event()

    def look():
        with redis.Redis(port=gate.port) as monitor:
            while not over.wait(0.2):
                monitor.zcard("concurrent:agent:7")

    watcher = threading.Thread(target=look if way == "a monitor" else lambda: None)
    watcher.start()
    try:
        _, learning = used(ways[way])
        repaired, most = used(ways[way])
    finally:
        over.set()
        watcher.join()
    figure(f"{way}: {repaired:.0f} runs a second repaired, {right:.0f} with one script: {repaired / right:.2f}")
    assert max(learning, most) <= MOST
    assert repaired > 0.8 * right


@pytest.mark.threads
def test_who_is_killed_leaves_no_place_taken(redis_server, gate):
    for _ in range(20):
        with gate.connect() as client:
            client.call("ZCARD", "concurrent:k")
    client = gate.connect()
    wait_until(lambda: client.call("ZCARD", "concurrent:k") < MOST, 10, "a place for somebody who lives")
    assert redis_server.call("ZCARD", "concurrent:k") == 0
