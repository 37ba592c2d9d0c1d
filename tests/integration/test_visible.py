"""KEYS, SCAN and RANDOMKEY while rules keep companions beside clients' keys: an application sees its own keys, and all
else is as the backend says it, byte for byte."""

import sys

import pytest

from harness import ROOT, encode
from limits import rule_settings
from wire import decode

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply  # noqa: E402 pylint: disable=wrong-import-position

REPAIR = {"runs": {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "100"}}
SEMAPHORE = {"jobs": {"kind": "semaphore", "max": "5", "lease": "60s"}}
OWN = [b"concurrent:1", b"concurrent:{2}", b"rg:mine", b"rg:{abc}:x:no", b"plain", b"a b\r\n\x00"]


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate, a Redis with keys of an application, and companions of some of them."""
    started = start_respgate(redis_server, settings=rule_settings(REPAIR))
    client = started.connect()
    for key in OWN:
        assert redis_server.call("ZADD", key, 1, "m") == 1
    assert [client.call("ZCARD", key) for key in OWN[:2]] == [1, 1]
    assert client.call("SEM.ACQUIRE", "plain:sem", 5, 60000, "t", "FIFO")[0] == 1
    assert len(redis_server.call("KEYS", "*")) > len(OWN) + 3
    return started


def own(names):
    return sorted(name for name in names if name != b"plain:sem")


def all_of(client, *options):
    """What a whole SCAN tells."""
    found, cursor = [], b"0"
    while True:
        cursor, page = client.call("SCAN", cursor, *options)
        found += page
        if cursor == b"0":
            return found


def without_companions(raw):
    """A reply to KEYS or SCAN, as its elements and as bytes, without those."""
    value = decode(raw)
    names = value if not value or isinstance(value[0], bytes) and not isinstance(value[-1], list) else value[1]
    names[:] = [name for name in names if not (name.startswith(b"rg:{") and name[7:9] == b"}:" and name[9:11] != b"x:")]

    def put(item):
        return encode(*item) if not item or isinstance(item[0], bytes) and not isinstance(item[-1], list) else (
            b"*2\r\n$%d\r\n%s\r\n" % (len(item[0]), item[0]) + encode(*item[1]))
    return put(value)


@pytest.mark.parametrize("resp", [2, 3])
def test_keys_are_the_applications_own_byte_for_byte(redis_server, gate, resp):
    direct, client = redis_server.connect(), gate.connect()
    for connection in (direct, client):
        connection.call("HELLO", resp)
    for command in (("KEYS", "*"), ("KEYS", "c*"), ("keys", "nobody"), ("KEYS", "?lain"), ("SCAN", "0", "COUNT", "1000"),
                    ("SCAN", 0, "MATCH", "*", "COUNT", 1000), ("SCAN", 0, "TYPE", "zset", "COUNT", 1000)):
        for connection in (direct, client):
            connection.send(encode(*command))
        assert client.read_reply() == without_companions(direct.read_reply()), command
    for command in (("KEYS",), ("KEYS", "a", "b"), ("SCAN",), ("SCAN", "x"), ("SCAN", 0, "COUNT", 0), ("SCAN", 0, "TWO"),
                    ("RANDOMKEY", "x"), ("KEYS", "rg:*"), ("SCAN", 0, "match", "rg:*", "COUNT", 1000)):
        for connection in (direct, client):
            connection.send(encode(*command))
        assert client.read_reply() == direct.read_reply(), command
    assert own(client.call("KEYS", "*")) == sorted(OWN)


def test_a_whole_scan_in_pages_of_any_size(redis_server, gate):
    client = gate.connect()
    client.send(b"".join(encode("ZCARD", f"concurrent:many:{i}") for i in range(500)))
    assert [client.read_value() for _ in range(500)] == [0] * 500
    redis_server.call("MSET", *(word for i in range(500) for word in (f"more:{i}", i)))
    expected = sorted([*OWN, *(b"more:%d" % i for i in range(500))])
    for options in ((), ("COUNT", 1), ("COUNT", 7), ("COUNT", 100000)):
        assert own(set(all_of(client, *options))) == expected
    assert sorted(set(all_of(client, "MATCH", "more:1*", "COUNT", 50))) == sorted(
        key for key in expected if key.startswith(b"more:1"))


def test_a_random_key_is_one_of_its_own(redis_server, gate):
    client = gate.connect()
    client.send(b"".join(encode("ZCARD", f"concurrent:many:{i}") for i in range(500)))
    assert [client.read_value() for _ in range(500)] == [0] * 500
    assert all(client.call("RANDOMKEY") in [*OWN, b"plain:sem"] for _ in range(200))
    redis_server.call("DEL", *OWN, "plain:sem")
    assert redis_server.call("RANDOMKEY") and client.call("RANDOMKEY") is None
    assert client.call("HELLO", 3) and client.send(encode("RANDOMKEY")) is None and client.read_reply() == b"_\r\n"


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "one by one"])
def test_in_a_transaction_and_behind_it(gate, whole):
    client = gate.connect()
    commands = [("MULTI",), ("KEYS", "concurrent:*"), ("SCAN", 0, "COUNT", 1000), ("EXEC",)]
    if whole:
        client.send(b"".join(encode(*command) for command in commands))
        replies = [client.read_value() for _ in commands]
    else:
        replies = [client.call(*command) for command in commands]
    assert replies[:3] == ["OK", "QUEUED", "QUEUED"]
    assert own(replies[3][0]) == OWN[:2] and replies[3][1][0] == b"0" and own(replies[3][1][1]) == sorted(OWN)


def test_in_a_tunnel(gate):
    """Where replies are not told apart any more: a transaction that subscribes."""
    client = gate.connect()
    client.send(b"".join(encode(*command) for command in [
        ("HELLO", 3), ("MULTI",), ("SUBSCRIBE", "c"), ("EXEC",), ("KEYS", "*")]))
    while b"concurrent:1" not in (last := client.read_reply()):
        assert not last.startswith(b"-"), last
    assert own(decode(last)) == sorted(OWN)


def test_inline_and_pipelined_in_order(gate):
    client = gate.connect()
    client.send(b"KEYS concurrent:*\r\nPING\r\n" + encode("KEYS", "pl*n") + encode("ECHO", "x"))
    assert [own(client.read_value()), client.read_value(), client.read_value(), client.read_value()] == [
        OWN[:2], "PONG", [b"plain"], b"x"]


@pytest.mark.parametrize("rules, sent", [
    ({}, b"KEYS"), ({"runs": {**REPAIR["runs"], "mode": "observe"}}, b"KEYS"), (REPAIR, b"EVAL"), (SEMAPHORE, b"EVAL"),
    ({"hits": {"kind": "incr", "match": "key:rl:*", "mode": "enforce", "ttl": "60s"}}, b"KEYS")],
    ids=["no rule", "observed", "repair", "semaphore", "counters that end"])
def test_it_goes_as_it_is_where_nothing_keeps_companions(start_respgate, rules, sent):
    with FakeRedis() as fake:
        for name in ("KEYS", "EVAL"):
            fake.on(name, reply(b"*0\r\n"))
        assert start_respgate(fake.url(), settings=rules and rule_settings(rules)).connect().call("KEYS", "*") == []
        assert fake.with_command(sent.decode()).commands[-1][0] == sent


def test_a_large_reply_holds_up_nobody_else(redis_server, start_respgate):
    redis_server.call("EVAL", "for i = 1, 20000 do redis.call('SET', 'large:' .. string.rep('x', 80) .. i, 1) end", 0)
    small = start_respgate(redis_server, settings={**rule_settings(REPAIR), "listen.reply_buffer": "64KiB"})
    client, other = small.connect(), small.connect()
    client.send(encode("KEYS", "large:*"))
    assert other.call("SET", "k", 1) == "OK"
    assert len(client.read_value()) == 20000
