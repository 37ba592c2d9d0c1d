"""Proves that the fake Redis and the split sender do what the tests with them rely on, without respgate in between."""

import socket
import sys

import pytest

from harness import ROOT, wait_until
from taken import is_taken, send_in_pieces, wait_taken
from wire import RespConnection, encode

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import Early, FakeRedis, close_after, hold, reply, reset_after, silence  # noqa: E402


@pytest.fixture
def fake():
    """A fake Redis without a password."""
    with FakeRedis() as started:
        yield started


@pytest.fixture
def client(fake):
    """A connection straight to it."""
    with RespConnection(fake.port) as connection:
        yield connection


@pytest.fixture
def pair():
    """Two ends of a loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
        with one, two:
            yield one, two


def test_taken_means_read_by_the_process_at_the_other_end(pair):
    one, two = pair
    assert is_taken(one)
    one.sendall(b"abc")
    with pytest.raises(AssertionError):
        wait_taken(one, timeout=0.2)
    assert two.recv(2) == b"ab" and not is_taken(one)
    assert two.recv(2) == b"c"
    wait_taken(one, timeout=5)


def test_pieces_are_read_one_by_one(fake, client):
    fake.on("GET", reply(b"$6\r\n", b"a", b"bcdef\r\n"))
    client.command("GET", "k")
    assert client.socket.recv(100) == b"$6\r\n"
    assert client.socket.recv(100) == b"a"
    assert client.socket.recv(100) == b"bcdef\r\n"


def test_login_answers_like_redis(fake, client, redis_server):
    with redis_server.connect() as real:
        for command in (("PING",), ("PING", "x"), ("SELECT", 3), ("CLIENT", "SETNAME", "n")):
            assert client.call(*command) == real.call(*command)
        for resp in (3, 2):
            fields = [name for name in client.call("HELLO", resp)]
            assert len(fields) == len(real.call("HELLO", resp))
    assert client.call("NOSUCH").code == "ERR"
    assert fake.received(0).startswith(encode("PING") + encode("PING", "x"))


def test_password():
    with FakeRedis("secret") as fake, RespConnection(fake.port) as client:
        assert client.call("PING").code == "NOAUTH"
        assert client.call("AUTH", "default", "wrong").code == "WRONGPASS"
        assert client.call("AUTH", "default", "secret") == "OK"
        assert client.call("PING") == "PONG"


def test_rules_in_order_and_the_byte_log(fake, client):
    fake.on("GET", reply(b"+always\r\n"))
    fake.once("GET", reply(b"+first\r\n"))
    fake.once("GET", reply(b"+second\r\n"))
    assert [client.call("GET", "k") for _ in range(4)] == ["first", "second", "always", "always"]
    assert fake.received(0) == encode("GET", "k") * 4
    assert fake.with_command("GET", 4) is fake.connections[0]


def test_hold_until_released_while_the_log_goes_on(fake, client):
    fake.once("GET", hold(b"+late\r\n"))
    client.send(encode("GET", "k") + encode("PING"))
    fake.wait_held()
    wait_until(lambda: fake.received(0).endswith(encode("PING")), what="the bytes behind the held command")
    assert client.is_silent(0.05)
    fake.release()
    assert [client.read_value(), client.read_value()] == ["late", "PONG"]


def test_early_reply_comes_before_the_request_is_whole(fake, client):
    fake.once("SET", Early(b"-ERR too large\r\n", after=1000))
    request = encode("SET", "k", "x" * 100_000)
    client.send(request[:50_000])
    assert client.read_value() == "ERR too large"
    client.send(request[50_000:] + encode("PING"))
    assert client.read_value() == "PONG"


def test_close_reset_and_silence(fake):
    for rule in (close_after(b"$10\r\nabc"), reset_after(b"$10\r\nabc")):
        fake.once("GET", rule)
        with RespConnection(fake.port) as client:
            client.command("GET", "k")
            assert client.read_bytes(8) == b"$10\r\nabc"
            assert client.at_eof()
    fake.once("GET", silence())
    with RespConnection(fake.port) as client:
        client.send(encode("GET", "k") + encode("PING"))
        assert client.read_value() == "PONG"


@pytest.mark.parametrize("raw", [b"PING\r\n", b"*1\r\n$04\r\nPING\r\n", b"*+1\r\n$4\r\nPING\r\n", b"*0\r\n",
                                 b"*1\r\n$4\r\nPINGxx"])
def test_a_request_that_is_not_canonical_fails_the_test(raw):
    with pytest.raises(AssertionError, match="not a canonical request"), FakeRedis() as fake:
        with RespConnection(fake.port) as client:
            client.send(raw)
            assert client.at_eof()
        assert fake.received(0) == raw
