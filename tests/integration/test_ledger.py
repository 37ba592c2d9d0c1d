"""Proves that the ledger sees what it must see: without this, "0 ran twice" in tests of faults would prove nothing."""

import sys

import pytest

from faultproxy import FaultProxy
from harness import ROOT, wait_until
from ledger import Audit, Load

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from wrongproxy import WrongProxy  # noqa: E402


@pytest.fixture
def loaded(redis_server, tmp_path):
    """Factory: loaded(port) gives the ended load after a thousand writes."""
    def run(port):
        load = Load(port, tmp_path)
        wait_until(lambda: redis_server.call("DBSIZE") > 1000, what="a thousand writes")
        return load.stop()
    return run


def key_of(request):
    """The key it wrote."""
    return f"load:{request.connection}:{request.sequence}"


def test_redis_itself_does_everything_once_and_no_request_is_left_open(redis_server, loaded):
    load = loaded(redis_server.port)
    audit = Audit(load, [redis_server])
    assert load.count("ok") == len(load.requests) == redis_server.call("DBSIZE")
    assert not audit.twice and not audit.missing and not audit.denied_but_ran


def test_what_ran_twice_and_what_is_missing_is_seen(redis_server, loaded):
    load = loaded(redis_server.port)
    redis_server.call("INCR", key_of(load.requests[7]))
    redis_server.call("DEL", key_of(load.requests[9]))
    audit = Audit(load, [redis_server])
    assert (audit.twice, audit.missing) == ([load.requests[7]], [load.requests[9]])


def test_what_ran_here_and_there_is_seen(redis_server, start_redis, loaded):
    load, other = loaded(redis_server.port), start_redis()
    other.call("INCR", key_of(load.requests[3]))
    assert Audit(load, [redis_server, other]).twice == [load.requests[3]]


def test_what_was_denied_and_ran_is_seen(redis_server, loaded):
    with WrongProxy(redis_server.port, "unknown", every=100) as proxy:
        load = loaded(proxy.port)
    assert load.count("unknown") == proxy.done > 0 and not Audit(load, [redis_server]).denied_but_ran
    load.requests = [request._replace(outcome="unavailable") if request.outcome == "unknown" else request
                     for request in load.requests]
    assert len(Audit(load, [redis_server]).denied_but_ran) == proxy.done


def test_a_lost_connection_costs_its_request_and_is_made_anew(redis_server, tmp_path):
    with FaultProxy(redis_server.port) as proxy:
        load = Load(proxy.port, tmp_path)
        for _ in range(5):
            before = redis_server.call("DBSIZE")
            proxy.say("reset")
            wait_until(lambda: redis_server.call("DBSIZE") > before + 500, what="the clients to come back")
        load.stop()
    assert 1 <= load.count("lost") <= 40 and load.count("ok", "lost") == len(load.requests)
