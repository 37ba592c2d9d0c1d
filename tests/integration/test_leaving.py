"""Clients that leave: who half-closes still gets every reply that Redis would give, who waits and leaves is noticed."""

import socket

import pytest

from harness import wait_until
from wire import RespConnection, encode

LAST_WORDS = {
    "plain": encode("SET", "k", "v") + encode("GET", "k") + encode("ECHO", "end"),
    "large": encode("SET", "k", "v" * 50_000) + encode("GET", "k"),
    "many": encode("INCR", "n") * 3000,
    "burst": encode("MULTI") + encode("SET", "k", "v") + encode("GET", "k") + encode("EXEC") + encode("GET", "k"),
    "open transaction": encode("MULTI") + encode("SET", "k", "v"),
    "discarded": encode("MULTI") + encode("SET", "k", "v") + encode("DISCARD") + encode("GET", "k"),
    "watch": encode("WATCH", "k") + encode("GET", "k") + encode("MULTI") + encode("SET", "k", "v") + encode("EXEC"),
    "unknown command": encode("NOSUCH", "a") + encode("ECHO", "end"),
    "unknown command last": encode("ECHO", "begin") + encode("NOSUCH", "a"),
    "subscribed": encode("SUBSCRIBE", "a", "b") + encode("PING", "p") + encode("UNSUBSCRIBE", "a", "b"),
    "other database": encode("SELECT", 1) + encode("SET", "k", "v") + encode("SELECT", 2) + encode("GET", "k"),
    "answers of the proxy": encode("CLIENT", "SETNAME", "n") + encode("CLIENT", "GETNAME") + encode("HELLO", "9"),
}


def last_answers(port, words):
    """Say these words and half-close at once; everything that comes until the other side closes."""
    with RespConnection(port) as client:
        client.send(words)
        client.socket.shutdown(socket.SHUT_WR)
        answers = b""
        while data := client.socket.recv(1 << 16):
            answers += data
        return answers


@pytest.mark.parametrize("words", LAST_WORDS.values(), ids=LAST_WORDS.keys())
def test_who_half_closes_gets_every_reply(respgate, redis_server, words):
    expected = last_answers(redis_server.port, words)
    redis_server.call("FLUSHALL")
    assert expected
    assert last_answers(respgate.port, words) == expected


@pytest.mark.parametrize("behind", [0, 1, 1000], ids=["nothing behind it", "one request behind it", "many behind it"])
def test_a_blocked_client_that_leaves_takes_nothing_with_it(respgate, redis_server, behind):
    def blocked():
        return int(redis_server.call("INFO", "clients").split(b"blocked_clients:")[1].split(b"\r\n")[0])

    client = respgate.connect()
    client.send(encode("BLPOP", "list", 0) + encode("ECHO", "x" * 20) * behind)
    wait_until(lambda: blocked() == 1, what="the client to block")
    client.close()
    wait_until(lambda: blocked() == 0, what="the end of the client to be noticed")
    assert redis_server.call("RPUSH", "list", "element") == 1
    assert redis_server.call("LRANGE", "list", 0, -1) == [b"element"]
