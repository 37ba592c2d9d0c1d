"""Clients' commands as rules of repair send them, end to end without a proxy: limitcall translates, a real Redis runs
the scripts. Where nothing is limited, every reply is the command's own, byte for byte."""

import random

import pytest

from harness import ReplySplitter, decode, encode
from limiter_scripts.lab import ODD_KEYS, Lab, is_error
from limiter_scripts.translated import Translator

MEMBERS = ["a", "b", "c", "d"]
NO_RESERVATIONS = ("DEL", "rg:{dhA}:p:k")


def split(stream):
    """All replies, or requests, of it."""
    splitter, found = ReplySplitter(), []
    splitter.feed(stream)
    while (one := splitter.take()) is not None:
        found.append(one)
    assert not splitter.buffer
    return found


class Repaired(Translator):
    """A client under one rule; what the rule has nothing to do with goes as it is."""

    def __init__(self, lab, kind, limit, ttl_ms=0, late="record", pattern="*", owner=1):
        super().__init__(lab, "--repair", kind, str(limit), str(ttl_ms), late, pattern, "--owner", str(owner))
        self.number = 0

    def raws(self, commands, resp=2):
        """The bytes of their replies as the client would get them."""
        options = (*self.options, "--number", str(self.number), "--resp", str(resp))
        self.number += len(commands)
        requests = split(self.tool(b"".join(encode(*command) for command in commands), *options))
        both = []
        for command, request in zip(commands, requests):
            repaired = decode(request)[0] == b"EVALSHA"
            both += [encode(*command), self.run(decode(request)) if repaired else self.direct(*command)]
        return split(self.tool(b"".join(both), *options, "--reply", str(resp)))

    def raw(self, *command):
        """One of them."""
        return self.raws([command])[0]

    def direct(self, *command):
        """The same command's reply without the rule."""
        self.lab.connection.send(encode(*command))
        return self.lab.connection.read_reply()


@pytest.fixture
def lab(redis_server):
    """Scripts on the real clock, since what is compared is a real Redis."""
    with Lab(redis_server, virtual=False) as made:
        yield made


def score(rng):
    return rng.choice(["1", "-2.5", "1e300", "inf", "140147465424316560", "0x10", "x", ""])


def zset(rng):
    pairs = [word for _ in range(rng.randint(1, 3)) for word in (score(rng), rng.choice(MEMBERS))]
    flags = rng.sample(["NX", "XX", "GT", "lt", "CH", "INCR"], rng.choice((0, 0, 1, 1, 2)))
    return rng.choice([("ZADD", "k", *flags, *pairs), ("ZADD", "k", *flags, *pairs[:2]), ("ZADD", "k", *pairs[:-1]),
                       ("ZINCRBY", "k", score(rng), rng.choice(MEMBERS)), ("ZREM", "k", rng.choice(MEMBERS)),
                       ("ZADD", "k", *pairs), ("ZCOUNT", "k", score(rng), "+inf"), ("ZCOUNT", "k", "-inf", "+inf")])


def members(rng, *names):
    return (rng.choice(names), "k", *(rng.choice(MEMBERS) for _ in range(rng.randint(0, 4))))


def counter(rng):
    by = rng.choice(["1", "5", "-3", "9223372036854775807", "x", "01"])
    return rng.choice([("INCR", "k"), ("INCR", "k", "1"), ("INCRBY", "k", by), ("DECR", "k"), ("DECRBY", "k", by),
                       ("INCRBYFLOAT", "k", by), ("INCRBYFLOAT", "k", "0.5"), ("SET", "k", rng.choice(["7", "x"]))])


CHECKS = {"zset": "ZCARD", "set": "SCARD", "list": "LLEN", "counter": "GET", "incr": "GET"}
COMMANDS = {"zset": zset, "set": lambda rng: members(rng, "SADD", "SADD", "SREM"),
            "list": lambda rng: members(rng, "LPUSH", "RPUSH", "LPUSHX", "RPUSHX"), "counter": counter, "incr": counter}


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("kind", list(CHECKS))
def test_every_reply_is_the_commands_own_where_nothing_is_limited(lab, kind, resp):
    """The same random commands on two keys, errors, wrong types and missing keys among them."""
    rng, client = random.Random(resp), Repaired(lab, kind, 0 if kind == "incr" else 10**9,
                                                late="record" if kind == "counter" else "reject")
    lab.call("HELLO", resp)
    for turn in range(6):
        lab.forget()
        for key in ("k", "direct") if turn == 3 else ():
            lab.call("HSET", key, "f", "v")
        commands = [command for _ in range(40) for command in (COMMANDS[kind](rng), NO_RESERVATIONS,
                                                               (CHECKS[kind], "k"), NO_RESERVATIONS)]
        differing = []
        for command, reply in zip(commands, client.raws(commands, resp)):
            direct = reply if command == NO_RESERVATIONS else client.direct(command[0], "direct", *command[2:])
            if reply != direct and not beyond_doubles(direct):
                differing.append((command, reply, direct))
        assert differing == [] and contents(lab, "k") == contents(lab, "direct")


def contents(lab, key):
    """All there is in a key; the order within a set is chance."""
    return sorted(lab.call("SMEMBERS", key)) if lab.call("TYPE", key) == "set" else lab.dump(key)


def beyond_doubles(reply):
    """An integer that a script cannot hold: its contract says so."""
    return isinstance(reply, bytes) and reply[:1] == b":" and abs(int(reply[1:])) >= 2**53


@pytest.mark.parametrize("kind, act", [("zset", ("ZADD", "k", "1")), ("set", ("SADD", "k")), ("list", ("RPUSH", "k"))])
def test_a_check_and_its_act(lab, kind, act):
    first, second = Repaired(lab, kind, 1, owner=1), Repaired(lab, kind, 1, owner=2, late="reject")
    check = (CHECKS[kind], "k")
    assert first.raw(*check) == b":0\r\n" and second.raw(*check) == b":1\r\n"
    assert first.raw(*act, "a") == b":1\r\n" and second.raw(*act, "b") == b":0\r\n"
    assert second.raw(*check) == b":1\r\n" and lab.call("KEYS", "*") == [b"k"]
    lab.call("DEL", "k")
    assert first.raw(*check) == b":0\r\n" and lab.call("KEYS", "*") == [NO_RESERVATIONS[1].encode()]


def test_guesses_at_a_one_time_password(lab):
    """GET, compare, INCR: three guesses, not one more, however many ask at once; and the counter ends."""
    clients = [Repaired(lab, "counter", 3, 60000, "reject", owner=owner) for owner in range(1, 7)]
    told = [client.raw("GET", "k") for client in clients]
    assert told == [b"$-1\r\n", b"$1\r\n1\r\n", b"$1\r\n2\r\n", *[b"$1\r\n3\r\n"] * 3]
    assert [client.raw("INCR", "k") for client in clients] == [b":1\r\n", b":2\r\n", b":3\r\n", *[b":4\r\n"] * 3]
    assert lab.call("GET", "k") == b"3" and 0 < lab.call("PTTL", "k") <= 60000


def test_a_counter_with_a_cap(lab):
    client = Repaired(lab, "incr", 2, 60000)
    assert [client.raw("INCR", "k") for _ in range(4)] == [b":1\r\n", b":2\r\n", b":3\r\n", b":3\r\n"]
    assert client.raw("DECRBY", "k", 2) == b":0\r\n" and 0 < lab.call("PTTL", "k") <= 60000


def transaction(lab, client, *commands):
    """The reply to EXEC, the scripts being sent as text."""
    assert lab.call("MULTI") == "OK"
    for command in commands:
        assert lab.call(*client.request(*command, options=("--eval", "--plain"))) == "QUEUED"
    return lab.call("EXEC")


def test_a_transaction_checks_and_acts_at_once(lab):
    """As mcp:rate: does: purge, count, add, expire; the replies are those of the commands, in EXEC's array."""
    client = Repaired(lab, "zset", 1, late="reject")
    commands = [("ZREMRANGEBYSCORE", "k", 0, 5), ("ZCARD", "k"), ("ZADD", "k", 9, "a"), ("EXPIRE", "k", 60)]
    assert transaction(lab, client, *commands) == [0, 0, 1, 1] and lab.call("KEYS", "*") == [b"k"]
    commands[2] = ("ZADD", "k", 9, "b")
    assert transaction(lab, client, *commands) == [0, 1, 0, 1] and lab.call("ZRANGE", "k", 0, -1) == [b"a"]


def test_who_watches_only_looks(lab, redis_server):
    """WATCH, ZCARD, MULTI, ZADD, EXEC is right by itself: it takes nobody's place, and fails when one is reserved."""
    watcher, racer = Repaired(lab, "zset", 2, late="error"), Repaired(lab, "zset", 2, owner=2)
    look = ("--eval", "--plain", "--look")
    with Lab(redis_server, virtual=False) as other:
        for token, raced in (("a", False), ("b", True), ("c", False)):
            lab.call("WATCH", "k", NO_RESERVATIONS[1])
            assert lab.call(*watcher.request("ZCARD", "k", options=look)) == (0 if token == "a" else 1)
            if raced:
                assert other.call(*racer.request("ZCARD", "k", options=("--eval",))) == 1
            lab.call("MULTI")
            lab.call(*watcher.request("ZADD", "k", 1, token, options=look))
            assert lab.call("EXEC") == (None if raced else [1])
            other.call(*NO_RESERVATIONS)
    assert lab.call("ZRANGE", "k", 0, -1) == [b"a", b"c"]


def test_what_no_rule_matches_is_sent_as_it_is(lab):
    client = Repaired(lab, "zset", 1, pattern="concurrent:*")
    for command in (("ZADD", "k", 1, "a"), ("ZCARD", "concurrentx"), ("GET", "concurrent:1"), ("PING",)):
        assert client.tool(encode(*command), *client.options) == encode(*command)


@pytest.mark.parametrize("key", ODD_KEYS, ids=["tag", "braces", "bytes", "long"])
def test_keys_of_any_bytes(lab, key):
    client = Repaired(lab, "zset", 1)
    assert client.raw("ZCARD", key) == b":0\r\n" and client.raw("ZADD", key, 1, key) == b":1\r\n"
    assert client.raw("ZCARD", key) == b":1\r\n" and is_error(lab.call("GET", key), "WRONGTYPE")


def test_a_whole_batch_at_once(lab):
    client = Repaired(lab, "zset", 1000, late="error")
    pairs = [word for i in range(1000) for word in (i, f"m{i}")]
    assert client.raw("ZADD", "k", *["CH"] * 6, *pairs) == b":1000\r\n"
    assert client.raw("ZADD", "k", 1, "more") == b"-LIMITED rule max=1000 live=1000\r\n"
