"""Denials that are kept: served without the backend, and never one that the backend would not have given."""

import fcntl
import itertools
import random
import re
import socket
import struct
import sys
import termios
import threading

import pytest

from backend_view import command_calls
from harness import ROOT, encode, wait_until
from limiter_scripts.lab import FOREIGN
from limits import COUNTING, LIMITED, REASON, RETRY, RULES, rule_settings, script_calls, take
from test_switch import Pair

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, hold, reply  # noqa: E402 pylint: disable=wrong-import-position

DENIED = b"*8\r\n:0\r\n:5\r\n:0\r\n:60000\r\n:60000\r\n:60000\r\n:0\r\n:1\r\n"
CACHED = {name: RULES[name] for name in COUNTING}


def cached_count(gate):
    """How many denials were served, as logged at the end."""
    for connection in gate.connections:
        connection.close()
    assert gate.stop() == 0
    line = next(line for line in gate.log().splitlines() if "msg=counters" in line)
    return int(re.search(r"limits_cached=(\d+)", line)[1]), int(re.search(r"limits_denied=(\d+)", line)[1]), \
        int(re.search(r" limits=(\d+)", line)[1])


@pytest.fixture
def caching(start_respgate):
    """Factory: a respgate that keeps denials."""
    return lambda backend, **more: start_respgate(backend, settings={**rule_settings(CACHED, deny_cache="yes"), **more})


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("name", COUNTING)
def test_denied_calls_do_not_reach_the_backend(redis_server, caching, name, resp):
    gate = caching(redis_server)
    client = gate.connect()
    client.call("HELLO", resp)
    assert take(client, name, "COST", 5)[0] == 1
    first = take(client, name)
    assert first[0] == 0
    before = command_calls(redis_server)
    client.send(encode("LIM.TRY", name, "u") * 100 + encode("LIM.TRY", name, "u", "COST", 2))
    for _ in range(101):
        again = client.read_value()
        assert again[:3] == first[:3] and 0 < again[RETRY] <= first[RETRY] + 1440000 and again[REASON] == 2
    after = command_calls(redis_server)
    assert {key: after[key] for key in ("eval", "evalsha") if key in after} == \
        {key: before[key] for key in ("eval", "evalsha") if key in before}
    assert cached_count(gate) == (101, 102, 103)


def test_behind_a_pipeline_it_is_counted_once(redis_server, caching):
    """A denial is served in its turn: the replies before it come first."""
    gate = caching(redis_server)
    client = gate.connect()
    assert [take(client, "win", "COST", 5)[0], take(client, "win")[0]] == [1, 0]
    client.send((encode("ECHO", "a") + encode("LIM.TRY", "win", "u")) * 50)
    for _ in range(50):
        assert client.read_value() == b"a" and client.read_value()[0] == 0
    assert cached_count(gate) == (50, 51, 52)


BY_PATTERN = "return redis.call('DEL', unpack(redis.call('KEYS', 'rl:*')))"
LIBRARY = f"#!lua name=cleaning\nredis.register_function('by_pattern', function() {BY_PATTERN} end)"
LOWERING = [("DEL", "rl:win:u"), ("UNLINK", "rl:win:u"), ("FLUSHDB",), ("FLUSHALL",), ("LIM.RESET", "rl:win:u"),
            ("LIM.REFUND", "rl:win:u", "WINDOW", 5, 3600000, "COST", 5), ("RENAME", "rl:win:u", "x"),
            ("EXPIRE", "rl:win:u", 0), ("PEXPIREAT", "rl:win:u", 1), ("EVAL", "redis.call('DEL', KEYS[1])", 1, "rl:win:u"),
            ("EVAL", "redis.call('DEL', ARGV[1] .. 'u')", 0, "rl:win:"), ("EVAL", BY_PATTERN, 0), ("FCALL", "by_pattern", 0), ("SWAPDB", 0, 1),
            ("MOVE", "rl:win:u", 1), ("GETDEL", "rl:win:u"), ("MULTI", "DEL"), ("MULTI at once", "DEL"),
            ("DEL", *(f"{number:09}" for number in range(9000)), "rl:win:u"), ("SET", "rl:win:u", "0" * 100_000),
            ("EVAL", "--" + "x" * 100_000 + "\nredis.call('DEL', KEYS[1])", 1, "rl:win:u")]


@pytest.mark.parametrize("command", LOWERING, ids=lambda command: " ".join(map(str, command[:2]))[:24])
def test_what_lowers_a_count_ends_a_denial(redis_server, caching, command):
    gate = caching(redis_server, **{"listen.workers": 2})
    client, others = gate.connect(), [gate.connect() for _ in range(4)]
    redis_server.call("FUNCTION", "LOAD", LIBRARY)
    for _ in range(3):
        redis_server.call("FLUSHALL")
        for connection in (client, *others):
            connection.call("LIM.RESET", "rl:win:other")  # forgets what was kept of the round before
        assert take(client, "win", "COST", 5)[0] == 1
        assert [take(other, "win")[0] for other in others for _ in range(2)] == [0] * 8
        if command[0].startswith("MULTI"):
            commands = [("MULTI",), ("DEL", "rl:win:u"), ("EXEC",)]
            if command[0] == "MULTI":
                assert [client.call(*each) for each in commands] == ["OK", "QUEUED", [1]]
            else:
                client.send(b"".join(encode(*each) for each in commands))
                assert [client.read_value() for _ in commands] == ["OK", "QUEUED", [1]]
        else:
            client.call(*command)
        used = redis_server.call("GET", "rl:win:u")
        assert not used or used.startswith(b"0"), used
        answer = take(random.choice(others), "win")
        assert answer == FOREIGN if command[0] == "SET" else answer[0] == 1


@pytest.mark.parametrize("name", ["sld", "log"])
@pytest.mark.parametrize("several", [False, True], ids=["alone", "LIM.MULTI"])
def test_another_window_on_the_same_key_may_lower_what_it_counts(redis_server, caching, name, several):
    client = caching(redis_server).connect()
    key, log = f"rl:{name}:u", ("LOG",) if name == "log" else ()
    assert [take(client, name, "COST", 5)[0], take(client, name)[0], take(client, name)[0]] == [1, 0, 0]
    shorter = ("LIM.MULTI", 1, key, "SLIDE", 5, 1, *log) if several else ("LIM.SLIDE", key, 5, 1, *log)

    def is_lowered():
        client.call(*shorter)
        return client.call("LIM.SLIDE", key, 5, 3600000, *log, "PEEK")[0]
    wait_until(is_lowered, what="the first calls to leave the shorter window")
    assert take(client, name)[0] == 1


class Forked:
    """The same call to two respgates, one of which keeps denials, in front of two Redis."""

    def __init__(self, start_redis, start_respgate, caching):
        self.servers = start_redis(), start_redis()
        self.gates = (start_respgate(self.servers[0], settings={**rule_settings(CACHED), "listen.workers": 2}),
                      caching(self.servers[1], **{"listen.workers": 2}))
        self.clients = [[gate.connect() for _ in range(6)] for gate in self.gates]

    def call(self, index, *commands):
        """Their replies, in one write each."""
        answers = []
        for clients in self.clients:
            clients[index].send(b"".join(encode(*command) for command in commands))
            answers.append([clients[index].read_value() for _ in commands])
        return answers


def random_call(rng):
    """One or several commands that go in one write."""
    name, subject = rng.choice(COUNTING), rng.choice("ab")
    key = f"rl:{name}:{subject}"
    rate = RULES[name]["rate"].partition("/")[0]
    numbers = (rate, rate, 3600000) if name == "api" else (rate, 3600000)
    extra = ("LOG",) if name == "log" else ()
    kind = {"api": "GCRA", "win": "WINDOW"}.get(name, "SLIDE")
    options = [(), (), (), ("COST", rng.randint(1, 7)), ("PEEK",), ("COST", 2)]
    if name in ("api", "win"):
        options.append(("PARTIAL", "COST", rng.randint(1, 7)))
    tried = ("LIM.TRY", name, subject, *rng.choice(options))
    if rng.random() < 0.8:
        return [tried] * rng.choice((1, 1, 3))
    return rng.choice([
        [("DEL", key)], [("DEL", key), tried], [("EXPIRE", key, 0)], [("RENAME", key, f"rl:{name}:{rng.choice('ab')}")],
        [("FLUSHDB",)], [("LIM.RESET", key)], [("LIM.REFUND", key, kind, *numbers, *extra, "COST", rng.randint(1, 3))],
        [("EVAL", "return redis.call('DEL', KEYS[1])", 1, key)], [("MULTI",), ("DEL", key), tried, ("EXEC",)],
        [("MULTI",), ("GET", "x"), tried, ("EXEC",)], [("MULTI",), ("DEL", key), ("DISCARD",), tried],
        [(f"LIM.{kind}", key, *(9 if number == int(rate) else number for number in map(int, numbers)), *extra)]])


def decision(value):
    """Whether, and how much was charged. What is left is as of the denial that was kept."""
    if isinstance(value, list) and len(value) == 8:
        return value[0], value[6]
    return [decision(item) for item in value] if isinstance(value, list) else value


@pytest.mark.threads
@pytest.mark.parametrize("seed", [1, 2])
def test_with_and_without_it_the_same_decisions(start_redis, start_respgate, caching, seed):
    forked = Forked(start_redis, start_respgate, caching)
    rng = random.Random(seed)
    for step in range(2500):
        commands = random_call(rng)
        plain, kept = forked.call(rng.randrange(6), *commands)
        assert decision(plain) == decision(kept), (step, commands, plain, kept)
    cached, denied, _ = cached_count(forked.gates[1])
    assert cached > 150 and cached < denied
    assert script_calls(forked.servers[1]) < script_calls(forked.servers[0])


def test_clients_at_the_same_time_are_never_given_too_much_nor_denied_after_a_reset(redis_server, caching):
    """Each thread resets its own subject and must then be admitted, whatever the others do."""
    gate = caching(redis_server, **{"listen.workers": 2})
    failures = []

    def run(subject):
        with gate.connect() as one, gate.connect() as other:
            for _ in range(150):
                admitted = sum(take(rng.choice((one, other)), "win", subject=subject)[0] for rng in [random] * 12)
                one.call("DEL", f"rl:win:{subject}")
                if admitted != 5 or take(other, "win", subject=subject)[0] != 1:
                    failures.append((subject, admitted))
                other.call("LIM.RESET", f"rl:win:{subject}")
    threads = [threading.Thread(target=run, args=(f"s{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]


def test_two_dbs_do_not_share_a_denial(redis_server, caching):
    client = caching(redis_server).connect()
    assert [take(client, "win", "COST", 5)[0], take(client, "win")[0]] == [1, 0]
    client.call("SELECT", 1)
    assert take(client, "win")[0] == 1


def test_a_denial_ends_on_time(start_respgate, redis_server):
    """Served until the backend admits again, not after it."""
    rules = {"win": {"kind": "window", "rate": "1/300ms"}}
    client = start_respgate(redis_server, settings=rule_settings(rules, deny_cache="yes")).connect()
    for _ in range(3):
        assert take(client, "win")[0] == 1
        denials = list(itertools.takewhile(lambda value: not value[0], iter(lambda: take(client, "win"), None)))
        assert len(denials) > 5 and denials[0][REASON] == LIMITED
        redis_server.call("DEL", "rl:win:u")
        wait_until(lambda: take(client, "win")[0], what="the next window")
        wait_until(lambda: redis_server.call("EXISTS", "rl:win:u") == 0, what="its end")
    assert script_calls(redis_server) < 400


# ---- another backend ----

@pytest.mark.parametrize("change", ["continue", "error_once"])
def test_a_switch_forgets_denials_and_scripts(start_redis, start_respgate, change):
    two = Pair(start_redis, start_respgate, change, **rule_settings(CACHED, deny_cache="yes"))
    with two.gate.connect() as client:
        for name in COUNTING:
            assert [take(client, name, "COST", 5)[0], take(client, name)[0], take(client, name)[0]] == [1, 0, 0]
        two.first.kill()
        two.wait_for("second")
        if change == "error_once":
            assert take(client, "win").startswith("RGSTATE ")
        for name in COUNTING:
            assert take(client, name)[:3] == [1, 5, 4]
    assert b"NOSCRIPT" not in two.second.call("INFO", "errorstats")


# ---- in between ----

@pytest.fixture
def fake():
    """A backend that denies everything."""
    with FakeRedis() as started:
        started.on("EVAL", reply(DENIED))
        started.on("EVALSHA", reply(DENIED))
        started.on("WATCH", reply(b"+OK\r\n"))
        started.on("MULTI", reply(b"+OK\r\n"))
        yield started


def scripts_sent(fake):
    """How many calls the fake was asked."""
    return sum(connection.names().count(name) for connection in fake.connections for name in ("EVAL", "EVALSHA"))


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
@pytest.mark.parametrize("command", [("DEL", "rl:win:u"), ("LIM.RESET", "rl:win:u"), ("EXEC",)], ids=lambda c: c[0])
def test_a_denial_learnt_while_a_count_is_being_lowered_is_not_kept(fake, caching, command, leaves):
    """The call that lowers runs when it likes, on another connection: a denial heard before its reply may be older."""
    gate = caching(fake.url(), **{"log.level": "debug"})
    client, other = gate.connect(), gate.connect()
    assert take(other, "win")[0] == 0 and client.call("WATCH", "k") == "OK"
    if command == ("EXEC",):
        assert client.call("MULTI") == "OK"
        fake.on("DEL", reply(b"+QUEUED\r\n"))
        assert client.call("DEL", "rl:win:u") == "QUEUED"
    fake.once("EVAL" if command[0] == "LIM.RESET" else command[0], hold(b":1\r\n"))
    client.command(*command)
    fake.wait_held()
    if leaves:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        gate.wait_for_log("client closed")
    assert take(other, "win")[0] == 0
    before = scripts_sent(fake)
    assert take(other, "win")[0] == 0 and scripts_sent(fake) == before, "it was not kept at all"
    fake.release()
    if not leaves:
        assert client.read_value() == 1

    def asks_again():
        take(other, "win")
        return scripts_sent(fake) > before
    wait_until(asks_again, timeout=3, what="the denial to be forgotten")


@pytest.mark.parametrize("queued", [True, False], ids=["by EXEC", "within"])
@pytest.mark.parametrize("command", ["DEL", "LIM.RESET"])
def test_what_goes_through_a_tunnel_ends_a_denial(redis_server, caching, queued, command):
    """SUBSCRIBE queued in a transaction makes replies unreadable from outside, but not requests."""
    gate = caching(redis_server)
    client, other = gate.connect(), gate.connect()
    assert [take(other, "win", "COST", 5)[0], take(other, "win")[0], take(other, "win")[0]] == [1, 0, 0]
    deletes = [(command, "rl:win:u")]
    for command in [("MULTI",), ("SUBSCRIBE", "c"), *(deletes if queued else []), ("UNSUBSCRIBE", "c"), ("EXEC",)]:
        client.command(*command)
    client.command(*(("PING",) if queued else deletes[0]))
    wait_until(lambda: not redis_server.call("EXISTS", "rl:win:u"), what="it to be deleted")
    assert wait_until(lambda: take(other, "win")[0], timeout=3, what="the denial to be forgotten")


def unread(sock):
    """Bytes that have arrived and were not read."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4))[0]


def test_what_is_asked_without_reading_ends_a_denial(fake, caching):
    """Who does not read its replies goes on a connection of its own, and its call may run late there."""
    gate = caching(fake.url(), **{"listen.reply_buffer": "64KiB", "listen.reply_buffer_max": "128KiB"})
    client, other = gate.connect(), gate.connect()
    fake.on("GET", reply(b"$1000000\r\n" + b"v" * 1000000 + b"\r\n"))
    fake.once("DEL", hold(b":1\r\n"))
    assert take(other, "win")[0] == 0
    client.send(encode("GET", "k") * 30)
    arrived = []

    def is_full():
        arrived.append(unread(client.socket))
        return len(arrived) > 40 and arrived[-1] == arrived[-40] > 0
    wait_until(is_full, what="replies to pile up")
    client.send(encode("DEL", "rl:win:u") + encode("DEL", "other") + encode("PING"))
    seen = threading.Event()

    def read():
        for _ in range(30):
            assert len(client.read_reply(30)) > 1000000
        seen.set()
    reader = threading.Thread(target=read)
    reader.start()
    fake.wait_held()
    seen.wait(10)
    assert take(other, "win")[0] == 0
    before = scripts_sent(fake)
    assert take(other, "win")[0] == 0 and scripts_sent(fake) == before, "it was not kept at all"
    fake.on("DEL", reply(b":0\r\n"))
    fake.release()
    reader.join()
    assert client.read_value() == 1

    def asks_again():
        take(other, "win")
        return scripts_sent(fake) > before
    wait_until(asks_again, timeout=3, what="the denial to be forgotten")
