"""Clients with a script of their own beside clients that check and act, on the same keys: the script sees what is
reserved, so together they keep one limit, and all else of a script is as it was."""

import hashlib
import uuid

import pytest
import redis

from harness import encode
from incident_app import Crowd, Slots
from limits import rule_settings
from wire import ErrorReply, decode

RULE = {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "2", "scripts": "show"}
TAKE = """redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[4])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1"""
SHA = hashlib.sha1(TAKE.encode()).hexdigest()


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate whose rule allows two and shows reservations to scripts."""
    return start_respgate(redis_server, settings=rule_settings({"runs": RULE}))


def take(token, key="concurrent:a", most=2, by=TAKE):
    return ("EVALSHA" if by == SHA else "EVAL", by, 1, key, token, 5, most, 0, 60)


class Locked(Slots):
    """The application after it was put right."""

    def acquire(self):
        token = uuid.uuid1()
        args = [str(token), token.time, self.most, 0, 600]
        return str(token) if self.client.register_script(TAKE)(keys=[self.key], args=args) else None


@pytest.mark.threads
def test_a_mixed_fleet_keeps_one_limit(start_respgate, redis_server, figure):
    gate = start_respgate(redis_server, settings=rule_settings({"runs": {**RULE, "max": "5"}}))
    client, crowd = redis.Redis(connection_pool=redis.BlockingConnectionPool(16, port=gate.port, timeout=30)), Crowd()
    most = crowd.run([((Slots, Locked)[i % 2](client, 5), 50, 0.004) for i in range(16)])
    figure(f"{crowd.runs} runs of 8 threads that check and act and 8 with a script: at most {most} at one time "
           "(5 allowed)")
    assert most == 5 and crowd.runs > 60
    assert redis_server.call("ZCARD", "concurrent:agent:7") == 0


@pytest.mark.parametrize("by", [TAKE, SHA], ids=["EVAL", "EVALSHA"])
def test_a_script_sees_what_is_reserved(redis_server, gate, by):
    racy, client, key = gate.connect(), gate.connect(), "concurrent:a"
    client.call(*take("warm", "concurrent:other"))
    assert racy.call("ZCARD", key) == 0
    assert [client.call(*take(token, by=by)) for token in "xy"] == [1, 0]
    assert racy.call("ZADD", key, 1, "m") == 1 and client.call(*take("y", by=by)) == 0
    assert sorted(redis_server.call("ZRANGE", key, 0, -1)) == [b"m", b"x"]
    assert racy.call("ZREM", key, "m") == 1 and client.call(*take("y", by=by)) == 1
    assert 0 < redis_server.call("TTL", key) <= 60


def test_many_reservations_and_nothing_left_behind(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings=rule_settings({"runs": {**RULE, "max": "5000"}}))
    racy, key = gate.connect(), "concurrent:a"
    count = "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 9) return redis.call('ZCARD', KEYS[1])"
    redis_server.call("ZADD", key, 1, "old", 10, "kept")
    assert racy.call("ZCARD", key) == 2
    held = redis_server.call("KEYS", "rg:*")[0]
    ends = int(redis_server.call("ZRANGE", held, 0, 0, "WITHSCORES")[1]) + 10**9
    redis_server.call("ZADD", held, *(word for i in range(2500) for word in (ends + i, f"other:{i}")), 1, "over:1")
    assert gate.connect().call("EVAL", count, 1, key) == 1 + 2501
    assert redis_server.call("ZRANGE", key, 0, -1) == [b"kept"]
    assert gate.connect().call("EVAL", "return redis.call('DEL', KEYS[1])", 1, key) == 1
    assert redis_server.call("EXISTS", key) == 0


AS_THEY_WERE = [
    ("return {#KEYS, #ARGV, KEYS[1], KEYS[2], ARGV[1], ARGV[3]}", 2, "concurrent:a", "concurrent:b", "x", "", "z"),
    ("return {KEYS, ARGV}", 3, "plain", "concurrent:b", "c"), ("return nil", 1, "concurrent:a"),
    ("return redis.status_reply('FINE')", 1, "concurrent:a"), ("return redis.error_reply('MY error')", 1, "concurrent:a"),
    ("return {1, 'two', {3, false}, 4.9}", 1, "concurrent:a", "x"), ("local a = 1 -- no line end", 1, "concurrent:a"),
    ("return redis.call('SET', KEYS[1], 1)", 1, "concurrent:s"), ("return redis.pcall('ZCARD', KEYS[1])", 1, "concurrent:s"),
    ("if ARGV[1] == 'x' then return 1 end", 1, "concurrent:a", "x"), ("return redis.sha1hex('')", 1, "concurrent:a"),
    ("redis.setresp(3) return redis.call('ZSCORE', KEYS[1], ARGV[1])", 1, "concurrent:z", "m"),
    ("return 1", 0, "concurrent:a"),
    ("return 1", 1, "plain"), ("#!lua flags=no-writes\nreturn 1", 1, "concurrent:a"), ("return 1", "x", "concurrent:a"),
    ("return 1", 2, "concurrent:a"), ("return 1", 1)]


@pytest.mark.parametrize("resp", [2, 3])
def test_all_else_of_a_script_is_as_it_was(redis_server, gate, resp):
    direct, client = redis_server.connect(), gate.connect()
    for connection in (direct, client):
        connection.call("HELLO", resp)
        redis_server.call("ZADD", "concurrent:z", 1.5, "m")
    for call in AS_THEY_WERE:
        redis_server.call("DEL", "concurrent:s")
        for connection in (direct, client):
            connection.send(encode("EVAL", *call))
        assert client.read_reply() == direct.read_reply(), call


def test_its_errors_are_its_own_without_the_trace(redis_server, gate):
    client = gate.connect()
    redis_server.call("SET", "concurrent:s", 1)
    for script, start in [("return redis.call('ZCARD', KEYS[1])", "WRONGTYPE "), ("return nothing.at.all", "ERR user_script:1: "),
                          ("return tostring(call) .. tostring(try)", "ERR user_script:1: "),
                          ("error('mine')", "ERR "), ("error({err = 'MY own'})", "MY own"), ("return (", "ERR "),
                          ("return redis.call('NOSUCH')", "ERR ")]:
        reply = client.call("EVAL", script, 1, "concurrent:s")
        assert isinstance(reply, ErrorReply) and reply.startswith(start), (script, reply)
    assert client.call("ZCARD", "concurrent:e") == 0
    assert isinstance(client.call("EVAL", "error('mine')", 1, "concurrent:e"), ErrorReply)
    assert redis_server.call("EXISTS", "concurrent:e") == 0, "what was shown is taken out again"


def test_a_digest_whose_text_is_not_known_is_asked_for(redis_server, gate):
    client = gate.connect()
    redis_server.call("SCRIPT", "LOAD", TAKE)
    assert str(client.call(*take("x", by=SHA))).startswith("NOSCRIPT")
    assert client.call(*take("x", by=SHA, key="elsewhere")) == 1
    assert client.call("SCRIPT", "LOAD", TAKE).decode() == SHA and client.call(*take("x", by=SHA)) == 1
    redis_server.call("SCRIPT", "FLUSH")
    client.send(encode(*take("y", by=SHA)) + encode(*take("z", by=SHA)) + encode("PING"))
    assert [client.read_value() for _ in range(3)] == [1, 0, "PONG"]


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "one by one"])
def test_in_a_transaction(redis_server, gate, whole):
    racy, client = gate.connect(), gate.connect()
    assert racy.call("ZCARD", "concurrent:a") == 0
    commands = [("MULTI",), take("x"), take("y"), take("y", by=SHA), ("EXEC",)]
    if whole:
        client.send(b"".join(encode(*command) for command in commands))
        replies = [client.read_value() for _ in commands]
    else:
        replies = [client.call(*command) for command in commands]
    assert replies[-1] == [1, 0, 0] and redis_server.call("ZRANGE", "concurrent:a", 0, -1) == [b"x"]


def test_a_transaction_is_not_spoilt_by_a_text_that_is_not_known(redis_server, gate):
    client = gate.connect()
    redis_server.call("SCRIPT", "LOAD", TAKE)
    assert [client.call(*command) for command in (("MULTI",), take("x", by=SHA), ("EXEC",))] == ["OK", "QUEUED", [1]]


def test_in_a_tunnel(gate):
    racy, client = gate.connect(), gate.connect()
    assert racy.call("ZCARD", "concurrent:a") == 0
    client.send(b"".join(encode(*command) for command in [
        ("HELLO", 3), ("MULTI",), ("SUBSCRIBE", "c"), ("EXEC",), ("ECHO", "begin"), take("x"), take("y")]))
    while b"begin" not in client.read_reply():
        pass
    assert [decode(client.read_reply()) for _ in range(2)] == [1, 0]


def test_what_becomes_of_a_script_is_explained(gate):
    client = gate.connect()
    lines = client.call("RESPGATE", "EXPLAIN", *take("x")).decode().splitlines()
    assert "sees what is reserved" in lines[1] and lines[2] == "script:repair_show"
    assert lines[3].startswith("sent:EVAL local\\x20function\\x20client") and " 2 concurrent:a rg:{" in lines[3]
    assert "rule:none" in client.call("RESPGATE", "EXPLAIN", *take("x", key="elsewhere")).decode()
