"""Seams of a switch: what else is going on in a client, a pool or the prober just then."""

import pytest

from harness import WireError, encode
from test_switch import Pair, status

PATIENT = {"health.timeout": "5s", "health.hang_threshold": "5s"}  # a slow script is no reason to leave
SLOW = ("local t=redis.call('TIME') while true do local n=redis.call('TIME') if "
        "(n[1]-t[1])*1000000+n[2]-t[2]>1500000 then return 'slow' end end")


@pytest.fixture
def pair(start_redis, start_respgate):
    """Factory: pair(change="close", **settings)."""
    return lambda change="continue", **kwargs: Pair(start_redis, start_respgate, change, **kwargs)


@pytest.mark.threads
def test_who_keeps_a_lane_without_state_is_taken_along_though_it_never_pauses(pair):
    two = pair(**PATIENT)
    two.first.kill()
    two.wait_for("second")
    with two.gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK" and client.call("WAIT", 0, 0) == 0  # the connection is its own from now on
        client.send(encode("EVAL", SLOW, 0))
        two.first.start()
        two.wait_for("default")
        client.send(encode("INCR", "n"))
        assert client.read_value() == b"slow" and client.read_value() == 1
    assert two.second.call("GET", "n") is None and two.first.call("GET", "n") == b"1"


def test_who_was_not_told_of_another_data_set_before_the_next_switch_still_is(pair, start_redis):
    third = start_redis()
    two = pair(change="error_once", **{"backend.second.dataset": "other", "backend.third.dataset": "other",
                                       "backend.third.url": third.url(), "backend.third.priority": 30})
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        two.wait_for("second")
        two.second.kill()
        two.wait_for("third")
        assert str(client.call("SET", "k", "v")).startswith("RGSTATE another data set")
        assert client.call("GET", "k") is None


def test_a_large_command_is_told_of_another_data_set_as_well(pair):
    two = pair(change="error_once")
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        two.wait_for("second")
        with pytest.raises((WireError, OSError)):  # closing may overtake the reply, as much is still on its way
            reply = client.call("SET", "k", "v" * 200_000)
            assert str(reply).startswith("RGSTATE another data set")
            client.read_value()
    assert two.second.call("EXISTS", "k") == 0
