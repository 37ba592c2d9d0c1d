"""Rules of repair against a backend that does what it is told: not a byte of other keys changes, and what a client is
told when a call of its is lost, late or unknown to the backend."""

import signal
import sys

import pytest

from harness import ROOT, encode, wait_until
from limits import rule_settings

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, close_after, hold, reply  # noqa: E402 pylint: disable=wrong-import-position

RULES = {"runs": {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "5"},
         "hits": {"kind": "incr", "match": "key:rl:*", "mode": "enforce", "max": "9", "ttl": "60s"},
         "tries": {"kind": "counter", "match": "key:otp:*", "mode": "enforce", "max": "3", "ttl": "60s"},
         "old": {"kind": "list", "match": "key:jobs:*"}}
NOSCRIPT = b"-NOSCRIPT No matching script.\r\n"
ANSWERS = {"ZADD": b":1\r\n", "ZCARD": b":0\r\n", "GET": b"$-1\r\n", "INCR": b":1\r\n", "SADD": b":1\r\n",
           "EXPIRE": b":1\r\n", "ZREMRANGEBYSCORE": b":0\r\n", "WATCH": b"+OK\r\n", "MULTI": b"+OK\r\n",
           "EXEC": b"*1\r\n:1\r\n", "LLEN": b":0\r\n", "ECHO": b"$5\r\nbegin\r\n", "EVAL": b"*3\r\n:1\r\n:1\r\n:1\r\n",
           "EVALSHA": b":1\r\n", "SCRIPT": b"$1\r\nx\r\n"}


@pytest.fixture
def fake():
    """A fake Redis with one answer to each command."""
    with FakeRedis() as started:
        for name, answer in ANSWERS.items():
            started.on(name, reply(answer))
        yield started


def traffic_of(gate, fake, commands):
    """What reaches the backend for these, behind its login."""
    client = gate.connect()
    client.send(b"".join(encode(*command) for command in [("ECHO", "begin"), *commands, ("ECHO", "end")]))
    for _ in range(len(commands) + 2):
        client.read_reply()
    return b"".join(bytes(connection.received).partition(encode("ECHO", "begin"))[2] for connection in fake.connections)


SCRIPTS = {"runs": {**RULES["runs"], "scripts": "show"},
           "taken": {"kind": "script", "match": "key:taken:*", "adopt": f"{'0' * 40} SEM.CHECK KEYS[1] ARGV[1]"}}


@pytest.mark.parametrize("rules", [RULES, {**RULES, **SCRIPTS}], ids=["repair", "and scripts"])
def test_commands_on_other_keys_do_not_change_by_a_byte(start_respgate, fake, rules):
    plain = [("ZREMRANGEBYSCORE", "z", 0, 1), ("ZCARD", "z"), ("ZADD", "z", 1, "m"), ("EXPIRE", "z", 9), ("GET", "k"),
             ("INCR", "concurrent:x"), ("SADD", "concurrent:x", 1), ("GET", "rl:x"), ("ZADD", "concurrent", 1, "m"),
             ("ZADD", "concurrent:x"), ("LLEN", "jobs:x"), ("EVAL", "return 1", 1, "k"), ("EVAL", "return 2", 1, "rl:x"),
             ("EVALSHA", "0" * 40, 1, "k", "x"), ("SCRIPT", "LOAD", "return 1"), ("MULTI",), ("INCR", "k"), ("EXEC",)]
    without = traffic_of(start_respgate(fake.url()), fake, plain)
    for connection in fake.connections:
        del connection.received[:]
    assert traffic_of(start_respgate(fake.url(), settings=rule_settings(rules)), fake, plain) == without
    assert without == b"".join(encode(*command) for command in [*plain, ("ECHO", "end")])


def test_what_may_have_run_is_unknown_but_a_check_is_a_denial(start_respgate, fake):
    client = start_respgate(fake.url(), settings=rule_settings(RULES)).connect()
    for command, told in [(("ZCARD", "concurrent:x"), b":5\r\n"), (("GET", "otp:x"), b"$1\r\n3\r\n"),
                          (("ZREMRANGEBYSCORE", "concurrent:x", 0, 1), b":0\r\n"), (("INCR", "rl:x"), b":10\r\n"),
                          (("ZADD", "concurrent:x", 1, "m"), b"-RGUNKNOWN")]:
        fake.once("EVAL", close_after())
        client.send(encode(*command))
        assert client.read_reply().startswith(told), command


def test_what_comes_too_late_is_a_denial(start_respgate, fake):
    client = start_respgate(fake.url(), settings=rule_settings(RULES)).connect()
    fake.on("EVAL", reply(b"-RGUNAVAIL the limiter call came after its deadline\r\n"))
    for command, told in [(("ZCARD", "concurrent:x"), 5), (("ZADD", "concurrent:x", 1, "m"), 0), (("INCR", "rl:x"), 10)]:
        assert client.call(*command) == told


def test_a_backend_that_cannot_run_it_lets_nobody_in_and_is_named(start_respgate, fake):
    gate = start_respgate(fake.url(), settings=rule_settings(RULES))
    client = gate.connect()
    fake.on("EVAL", reply(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"))
    assert client.call("ZREMRANGEBYSCORE", "concurrent:x", 0, 1) == 0
    fake.on("EVALSHA", reply(b"-NOPERM this user has no permissions to run the 'evalsha' command\r\n"))
    assert [client.call("ZCARD", "concurrent:x") for _ in range(2)] == [5, 5] and client.call("INCR", "rl:x") == 10
    assert "rule=runs" in gate.wait_for_log("repaired command failed")
    assert str(client.call("ZADD", "concurrent:x", 1, "m")).startswith("OOM")
    fake.on("EVALSHA", reply(b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"))
    assert str(client.call("ZCARD", "concurrent:x")).startswith("WRONGTYPE")


def test_replies_behind_a_call_that_is_sent_again_wait_for_it(start_respgate, fake):
    gate = start_respgate(fake.url(), settings=rule_settings(RULES))
    client, witness = gate.connect(), gate.connect()
    assert client.call("ZADD", "concurrent:x", 1, "m") == 1
    fake.once("EVALSHA", hold(NOSCRIPT))
    client.send(encode("ZADD", "concurrent:x", 1, "n"))
    fake.wait_held()
    fake.on("EVALSHA", reply(NOSCRIPT))
    client.send(encode("GET", "k") + encode("ECHO", "x") + encode("ZADD", "concurrent:x", 1, "o"))
    wait_until(lambda: b"in flight 4" in witness.call("RESPGATE", "CLIENTS"), 5, "the rest to be sent")
    fake.release()
    assert [client.read_value() for _ in range(4)] == [1, None, b"begin", 1]
    assert fake.with_command("EVALSHA").names().count("EVALSHA") == 2


def test_what_follows_an_act_in_one_piece_never_runs_before_it(start_respgate, redis_server):
    """Though the backend has forgotten the script, the key that ZADD makes gets its end from the EXPIRE behind it."""
    client = start_respgate(redis_server, settings=rule_settings(RULES)).connect()
    pieces = encode("ZADD", "concurrent:x", 1, "m") + encode("EXPIRE", "concurrent:x", 60) + encode("ZCARD", "concurrent:x")
    for _ in range(3):
        redis_server.call("FLUSHALL")
        redis_server.call("SCRIPT", "FLUSH")
        client.send(pieces)
        assert [client.read_value() for _ in range(3)] == [1, 1, 1]
        assert redis_server.call("TTL", "concurrent:x") > 0
        assert client.call("INCR", "rl:x") == 1


@pytest.mark.threads
@pytest.mark.parametrize("rules", ["", "[limit runs]\nkind = zset\nmatch = key:concurrent:*\nmode = observe\n"],
                         ids=["gone", "observed"])
def test_a_reload_while_a_call_is_sent_again(start_respgate, tmp_path, fake, rules):
    """NOSCRIPT comes when the rule is not in force any more: nothing ran, and the client is told so."""
    path = tmp_path / "gate.ini"
    path.write_text("[limit runs]\n" + "".join(f"{key} = {value}\n" for key, value in RULES["runs"].items()))
    gate = start_respgate(fake.url(), env={"RESPGATE_CONFIG": str(path)})
    client = gate.connect()
    assert client.call("ZADD", "concurrent:x", 1, "m") == 1
    fake.once("EVALSHA", hold(NOSCRIPT))
    client.send(encode("ZADD", "concurrent:x", 1, "n"))
    fake.wait_held()
    client.send(encode("PING"))
    path.write_text(rules)
    gate.signal(signal.SIGHUP)
    gate.wait_for_log("configuration reloaded")
    gate.connect().call("RESPGATE", "STATUS")  # its worker has the new rules now
    fake.release()
    assert client.read_reply().startswith(b"-RGUNAVAIL") and client.read_value() == "PONG"
    assert client.call("ZADD", "concurrent:x", 1, "o") == 1
    assert fake.with_command("ZADD").commands[-1][0] == b"ZADD"
