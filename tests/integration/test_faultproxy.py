"""Proves that the fault proxy commits each fault and nothing else: what is shown with its help depends on it."""

import time

import pytest

from faultproxy import FaultProxy
from harness import wait_until
from wire import RespConnection


@pytest.fixture
def proxy(redis_server):
    """A fault proxy in front of redis_server, without a fault."""
    with FaultProxy(redis_server.port) as proxy:
        yield proxy


def test_bytes_pass(proxy):
    with RespConnection(proxy.port) as client:
        client.call("SET", "k", "v" * 1_000_000)
        assert client.call("GET", "k") == b"v" * 1_000_000
    wait_until(lambda: proxy.counts()["links"] == 0, what="the link to end with its client")
    assert proxy.counts()["request_bytes"] > 1_000_000 < proxy.counts()["reply_bytes"]


def test_latency_delays_each_round_trip_once(proxy):
    with RespConnection(proxy.port) as client:
        proxy.say("latency 60")
        start = time.monotonic()
        assert [client.call("PING") for _ in range(3)] == ["PONG"] * 3
        assert 0.18 <= time.monotonic() - start < 0.36
        proxy.say("pass")
        start = time.monotonic()
        assert client.call("PING") == "PONG"
        assert time.monotonic() - start < 0.05


def test_jitter_keeps_the_order(proxy):
    with RespConnection(proxy.port) as client:
        proxy.say("latency 1 20")
        for number in range(100):
            client.command("ECHO", number)
        assert [client.read_value() for _ in range(100)] == [str(number).encode() for number in range(100)]


def test_slices_are_no_larger(proxy):
    with RespConnection(proxy.port) as client:
        proxy.say("slice 1")
        client.command("ECHO", "abcdef")
        first = client.socket.recv(1)
        assert first + client.read_bytes(11) == b"$6\r\nabcdef\r\n"


def test_drop_is_silence_and_pass_ends_it(proxy):
    with RespConnection(proxy.port) as client:
        proxy.say("drop")
        client.command("PING")
        assert client.is_silent(0.2)
        with RespConnection(proxy.port) as second:
            second.command("PING")
            assert second.is_silent(0.1)
            proxy.say("pass")
            assert second.read_value() == client.read_value() == "PONG"


def test_refuse_refuses_and_keeps_connections(proxy):
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.say("refuse")
        with pytest.raises(ConnectionRefusedError):
            RespConnection(proxy.port)
        assert client.call("PING") == "PONG"
        proxy.say("pass")
        with RespConnection(proxy.port) as second:
            assert second.call("PING") == "PONG"


def test_reset_resets(proxy):
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.say("reset")
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
    assert proxy.counts()["resets"] == 1


def test_half_close_ends_the_replies(proxy, redis_server):
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.say("half-close")
        assert client.at_eof()
        client.command("SET", "late", "yes")
        wait_until(lambda: redis_server.call("GET", "late") == b"yes", what="the request to pass")


def test_an_unknown_fault_is_no_fault(proxy):
    with pytest.raises(AssertionError, match="what?"):
        proxy.say("explode")
