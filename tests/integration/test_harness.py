"""Proves that the harness bites: every way in which a test could pass without respgate being right fails here."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from harness import (RedisServer, Respgate, check_ledger, check_open_ledgers, fields, free_port, ledger_of,
                     respgate_env, wait_until)
from wire import ErrorReply, Push, ReplySplitter, RespConnection, WireError, decode, encode

REPLIES = [
    (b"+OK\r\n", "OK"),
    (b"-ERR no\r\n", "ERR no"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"$4\r\na\r\nb\r\n", b"a\r\nb"),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", [[1], b"x"]),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b",1.5\r\n", 1.5),
    (b"(123456789012345678901\r\n", 123456789012345678901),
    (b"=7\r\ntxt:abc\r\n", b"abc"),
    (b"!6\r\nERR no\r\n", "ERR no"),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", {"a": 1, "b": [2]}),
    (b"%1\r\n*1\r\n:1\r\n+x\r\n", {(1,): "x"}),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b">2\r\n+a\r\n$1\r\nb\r\n", ["a", b"b"]),
    (b"|1\r\n+ttl\r\n:5\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n", [1, 2]),
]

FAKE = """#!{python}
import signal, sys, os
def end(*_):
    print("level=info {ledger}", flush=True)
    os._exit({code})
signal.signal(signal.SIGTERM, end)
print("listening address=" + os.environ["RESPGATE_LISTEN_ADDRESS"], flush=True)
print("{extra}", flush=True)
while True:
    signal.pause()
"""
GOOD_LEDGER = "ledger accepted=3 replied=1 unavailable=1 unknown=0 state=0 limited=0 denied=0 client_gone=1"


@pytest.fixture
def fake_respgate(tmp_path, monkeypatch):
    """Factory for a started stand-in that logs what it is told to and ends as it is told to."""
    started = []

    def start(ledger=GOOD_LEDGER, code=0, extra="", **kwargs):
        binary = tmp_path / "fake-respgate"
        binary.write_text(FAKE.format(python=sys.executable, ledger=ledger, code=code, extra=extra))
        binary.chmod(0o755)
        monkeypatch.setenv("RESPGATE_BIN", str(binary))
        started.append(Respgate(tmp_path, "redis://127.0.0.1:1/0", **kwargs))
        return started[-1].start()

    yield start
    for gate in started:
        gate.kill()


def test_splitter_finds_every_reply_at_every_split():
    stream = b"".join(raw for raw, _ in REPLIES)
    for size in range(1, len(stream) + 1):
        splitter, found = ReplySplitter(), []
        for start in range(0, len(stream), size):
            splitter.feed(stream[start:start + size])
            while (reply := splitter.take()) is not None:
                found.append(reply)
        assert found == [raw for raw, _ in REPLIES], f"split every {size} bytes"


@pytest.mark.parametrize("raw,value", REPLIES)
def test_decode(raw, value):
    assert decode(raw) == value


def test_errors_and_pushes_keep_their_type():
    assert isinstance(decode(b"-WRONGTYPE x\r\n"), ErrorReply)
    assert decode(b"-WRONGTYPE x\r\n").code == "WRONGTYPE"
    assert isinstance(decode(b"!5\r\nERR x\r\n"), ErrorReply)
    assert isinstance(decode(b">1\r\n+a\r\n"), Push)


@pytest.mark.parametrize("raw", [b"?x\r\n", b"$x\r\n", b"$-2\r\n", b"%-1\r\n", b"*-2\r\n", b"$1\r\nabcd\r\n"])
def test_splitter_refuses_broken_replies(raw):
    splitter = ReplySplitter()
    splitter.feed(raw)
    with pytest.raises(WireError):
        splitter.take()


def test_decode_refuses_trailing_bytes():
    with pytest.raises(WireError):
        decode(b"+OK\r\n+OK\r\n")


def test_encode_counts_bytes_not_characters():
    assert encode("SET", "é", 7, b"\r\n") == b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$1\r\n7\r\n$2\r\n\r\n\r\n"


def test_connection_reads_replies_pushes_bytes_and_eof(redis_server):
    with redis_server.connect() as one, redis_server.connect() as two:
        assert one.call("HELLO", 3)[b"proto"] == 3
        one.send(encode("SET", "k", "v") + encode("GET", "k"))
        assert one.read_reply() == b"+OK\r\n"
        assert one.read_bytes(4) == b"$1\r\n"
        assert one.read_bytes(3) == b"v\r\n"
        assert one.call("SUBSCRIBE", "news") == Push([b"subscribe", b"news", 1])
        assert one.is_silent(0.05)
        assert two.call("PUBLISH", "news", "x") == 1
        assert not one.is_silent(5)
        assert one.read_reply() == b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"
        two.command("QUIT")
        assert not two.at_eof()
        assert two.read_reply() == b"+OK\r\n"
        assert two.at_eof()


def test_a_reply_that_does_not_come_fails_in_time(redis_server):
    with redis_server.connect() as connection:
        connection.command("BLPOP", "nothing", 0)
        start = time.monotonic()
        with pytest.raises(WireError, match="in time"):
            connection.read_reply(timeout=0.2)
        assert time.monotonic() - start < 5


def test_a_reply_cut_short_fails():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = RespConnection(listener.getsockname())
        peer, _ = listener.accept()
        peer.sendall(b"$10\r\nabc")
        peer.close()
        with pytest.raises(WireError, match="closed by the peer"):
            connection.read_reply()


def test_wait_until_says_what_it_waited_for():
    with pytest.raises(AssertionError, match="for the moon"):
        wait_until(lambda: False, timeout=0.02, what="the moon")
    assert wait_until(lambda: 7, what="seven") == 7


def test_missing_redis_server_fails_and_does_not_skip(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="redis-server"):
        RedisServer(tmp_path).start()


def test_missing_respgate_fails_and_does_not_skip(tmp_path, monkeypatch):
    monkeypatch.setenv("RESPGATE_BIN", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="respgate"):
        Respgate(tmp_path, "redis://127.0.0.1:1/0").start()


def test_redis_that_cannot_start_fails_with_its_log(start_redis):
    with pytest.raises(AssertionError, match="(?s)ended with.*no-such-directive"):
        start_redis(config={"no-such-directive": 1})


def test_redis_restarts_empty_on_its_port_with_users_and_socket(start_redis):
    server = start_redis(unixsocket=True, config={"user": ["bob on >pw ~* &* +@all"], "timeout": 5})
    assert server.call("SET", "k", "v") == "OK"
    with RespConnection(server.socket_path) as connection:
        assert connection.call("AUTH", "bob", "pw") == "OK"
        assert connection.call("GET", "k") == b"v"
    port = server.port
    server.restart()
    assert (server.port, server.call("GET", "k")) == (port, None)
    assert server.call("CONFIG", "GET", "timeout") == [b"timeout", b"5"]


def test_paused_process_is_silent_and_comes_back(redis_server):
    with redis_server.connect() as connection:
        redis_server.pause()
        connection.command("PING")
        assert connection.is_silent(0.05)
        redis_server.resume()
        assert connection.read_value() == "PONG"


def test_stop_kills_what_ignores_sigterm(fake_respgate):
    gate = fake_respgate()
    gate.pause()
    gate.resume = lambda: None
    gate.stop_timeout = 0.1
    assert gate.stop() == -9


def test_fields_reads_logfmt_and_json():
    line = 'level=info msg="ledger at exit" accepted=3 address=127.0.0.1:6380'
    assert fields(line) == {"level": "info", "msg": "ledger at exit", "accepted": "3", "address": "127.0.0.1:6380"}
    assert fields('{"msg": "ledger", "accepted": 3, "replied":2}') == {"msg": "ledger", "accepted": "3", "replied": "2"}


def test_ledger_takes_the_last_line():
    assert ledger_of(GOOD_LEDGER.replace("3", "9") + "\n" + GOOD_LEDGER)["accepted"] == 3
    check_ledger(ledger_of(GOOD_LEDGER))


@pytest.mark.parametrize("log", ["", "nothing of note", "ledger accepted=1 replied=1", "ledger accepted=x replied=1"])
def test_missing_or_partial_ledger_fails(log):
    with pytest.raises(AssertionError, match="ledger"):
        ledger_of(log)


def test_balanced_ledger_passes(fake_respgate):
    fake_respgate().finish()


@pytest.mark.parametrize("wrong,message", [
    ({"ledger": GOOD_LEDGER.replace("accepted=3", "accepted=4")}, "accepted 4 but 3 ended"),
    ({"ledger": "bye"}, "no ledger line"),
    ({"code": 1}, "ended with 1, not 0"),
    ({"extra": "conf/conf.c:1:2: runtime error: signed integer overflow"}, "runtime error"),
])
def test_bad_end_of_respgate_fails(fake_respgate, wrong, message):
    with pytest.raises(AssertionError, match=message):
        fake_respgate(**wrong).finish()


@pytest.mark.parametrize("code", [0, 75])
def test_whoever_ends_a_respgate_its_ledger_is_looked_at_after_the_test(fake_respgate, code):
    gate = fake_respgate(ledger=GOOD_LEDGER.replace("accepted=3", "accepted=4"), code=code)
    check_open_ledgers()
    gate.stop()
    with pytest.raises(AssertionError, match="accepted 4 but 3 ended"):
        check_open_ledgers()
    check_open_ledgers()


def test_a_killed_one_could_not_write_its_ledger(fake_respgate):
    fake_respgate(ledger="bye").kill()
    check_open_ledgers()


def test_killed_respgate_may_be_expected(fake_respgate):
    gate = fake_respgate(expect_exit=None)
    gate.finish()
    assert gate.exit_code == -9


def test_respgate_that_dies_at_start_fails_with_its_log(tmp_path, monkeypatch):
    binary = tmp_path / "dies"
    binary.write_text("#!/bin/sh\necho cannot do this >&2\nexit 78\n")
    binary.chmod(0o755)
    monkeypatch.setenv("RESPGATE_BIN", str(binary))
    with pytest.raises(AssertionError, match="(?s)ended with 78.*cannot do this"):
        Respgate(tmp_path, "redis://127.0.0.1:1/0").start()


def test_harness_settings_lie_beneath_those_of_the_test(fake_respgate, monkeypatch):
    monkeypatch.setenv("HARNESS_SETTINGS", "listen.workers=2 listen.max_args=99")
    gate = fake_respgate(settings={"listen.max_args": 16})
    assert gate.settings == {"listen.workers": "2", "listen.max_args": 16}
    assert b"listen.workers=2\0--set\0listen.max_args=16" in Path(f"/proc/{gate.pid}/cmdline").read_bytes()


def test_environment_of_respgate_is_clean(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://example.invalid")
    monkeypatch.setenv("RESPGATE_LISTEN_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=1")
    env = respgate_env({"RESPGATE_BACKEND_URL": "u"})
    assert set(env) - {key for key in os.environ if key.endswith("SAN_OPTIONS")} == {"PATH", "RESPGATE_BACKEND_URL"}
    assert env["ASAN_OPTIONS"] == "detect_leaks=1"


def test_free_ports_can_be_bound():
    for port in {free_port() for _ in range(20)}:
        socket.create_server(("127.0.0.1", port)).close()
