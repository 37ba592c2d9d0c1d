"""Proves what people see without a browser: respgate top and stats, RESPGATE HELP and its siblings, the idle worker."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from harness import respgate_binary, respgate_env, run_respgate, wait_until
from stats_view import fetch, metrics, stats, wait_for_metric

pytestmark = pytest.mark.threads

QUICK = {"health.interval": "50ms", "health.fast_interval": "20ms"}


def env_of(gate):
    """What finds this one's stats port."""
    return {"RESPGATE_STATS_ADDRESS": f"127.0.0.1:{gate.stats_port}", "RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def gate(redis_server, start_respgate):
    """respgate that has chosen its only backend."""
    started = start_respgate(redis_server, settings=QUICK)
    wait_until(lambda: fetch(started, "/readyz")[0] == 200, what="it to be ready")
    return started


def ask(gate, *words):
    """The lines of a RESPGATE command's answer."""
    with gate.connect() as client:
        return client.call("RESPGATE", *words).decode().splitlines()


def client_shown(gate, name):
    """The client of this name in /stats.json; None while it is not there."""
    return next((client for client in stats(gate)["clients"] if client["name"] == name), None)


def test_help_names_every_subcommand_and_each_of_them_answers(gate):
    lines = ask(gate, "HELP")
    names = [line.split()[0] for line in lines[1:]]
    assert names == ["STATUS", "BACKENDS", "CLIENTS", "LIMITS", "LEASES", "EVENTS", "SLOWLOG", "OBSERVE", "CONFIG",
                     "HELP", "LEASES", "EXPLAIN"]
    for name in names[:-2]:
        assert ask(gate, name.lower()) is not None
    with gate.connect() as client:
        for words in (("LIMIT",), (), ("STATUS", "x"), ("LEASES", "a", "b", "c")):
            client.command("RESPGATE", *words)
            assert client.read_reply().startswith(b"-ERR unknown subcommand")


def test_answers_are_verbatim_for_who_speaks_resp3(gate):
    with gate.connect() as client:
        client.call("HELLO", "3")
        client.command("RESPGATE", "BACKENDS")
        assert client.read_reply().startswith(b"=")


def test_config_shows_origins_and_no_secret(start_redis, start_respgate):
    server = start_redis(config={"requirepass": "swordfish"})
    gate = start_respgate(server.url(user="default", password="swordfish"))
    lines = ask(gate, "CONFIG")
    assert not [line for line in lines if "swordfish" in line]
    assert [line for line in lines if line.startswith("backend.default.url") and "env RESPGATE_BACKEND_URL" in line]


def test_events_are_those_of_the_stats_port(gate):
    lines = ask(gate, "EVENTS")
    assert "\n".join(lines) + "\n" == fetch(gate, "/events")[1]
    assert [json.loads(line)["event"] for line in lines] == ["backend up", "selected"]


def test_backends_show_which_is_used_and_what_it_took(redis_server, gate):
    with gate.connect() as client:
        for _ in range(5):
            client.call("GET", "k")
    line = wait_until(lambda: next((line for line in ask(gate, "BACKENDS") if "5 replies" in line), None),
                      what="five replies")
    assert re.match(r"\* default +up +[\d.]+s +5 replies +p50 +[\d.]+ ms +p99 +[\d.]+ ms +redis://", line)
    redis_server.kill()
    wait_for_metric(gate, "respgate_ready", 0)
    assert ask(gate, "BACKENDS")[0].startswith("  default          down")


def test_clients_are_listed_by_name_with_what_they_are_doing(gate):
    doing = {}
    clients = {}
    for name, commands in (("popper", [("BLPOP", "none", "0")]), ("reader", [("GET", "k")]),
                           ("listener", [("SUBSCRIBE", "news")]), ("buyer", [("WATCH", "k")]),
                           ("spy", [("MONITOR",)])):
        clients[name] = gate.connect()
        clients[name].call("CLIENT", "SETNAME", name)
        for command in commands:
            clients[name].command(*command)
            if command[0] != "BLPOP":
                clients[name].read_reply()
    expected = {"popper": "blocked", "reader": "idle", "listener": "subscribed", "buyer": "transaction",
                "spy": "monitor"}

    def all_shown():
        doing.clear()
        doing.update((client["name"], client["doing"]) for client in stats(gate)["clients"])
        return doing == expected
    wait_until(all_shown, what=lambda: f"{expected}, not {doing}")
    lines = ask(gate, "CLIENTS")
    for name, what in expected.items():
        assert [line for line in lines if re.match(rf"\d+ +{name} +{what} ", line)], lines
    shown = client_shown(gate, "popper")
    assert (shown["command"], shown["inflight"], shown["pinned"]) == ("BLPOP", 1, True)


def test_a_worker_that_connected_named_itself_and_never_asked_is_seen(gate):
    idle, busy = gate.connect(), gate.connect()
    idle.call("HELLO", "3")
    idle.call("CLIENT", "SETNAME", "worker-7")
    idle.call("PING")
    busy.call("CLIENT", "SETNAME", "worker-8")
    busy.call("LPOP", "jobs")
    wait_until(lambda: (client_shown(gate, "worker-7") or {}).get("doing") == "silent", timeout=20,
               what="the idle worker to be shown as silent")
    assert client_shown(gate, "worker-8")["doing"] == "idle"
    assert [line for line in ask(gate, "CLIENTS") if re.match(r"\d+ +worker-7 +silent ", line)]
    wait_for_metric(gate, "respgate_client_connections_silent", 1)
    idle.call("GET", "k")
    wait_until(lambda: client_shown(gate, "worker-7")["doing"] == "idle", what="it to work")


def test_the_list_of_clients_is_bounded_and_names_come_first(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.workers": 1})  # the bound is each worker's
    crowd = [gate.connect() for _ in range(100)]
    named = gate.connect()
    named.call("CLIENT", "SETNAME", "named")
    wait_until(lambda: client_shown(gate, "named"), what="the named one")
    shown = stats(gate)
    assert shown["clients_connected"] == 101 and len(shown["clients"]) == 65
    assert ask(gate, "CLIENTS")[-1].startswith("and 3")
    for client in crowd:
        client.close()


def test_stats_prints_text_json_or_metrics_and_says_when_there_is_nobody(gate):
    done = run_respgate("stats", env=env_of(gate))
    assert done.returncode == 0 and done.stderr == ""
    for part in ("ready", "backend default", "BACKENDS", "CLIENTS", "EVENTS"):
        assert part in done.stdout
    assert json.loads(run_respgate("stats", "--json", env=env_of(gate)).stdout)["route"]["backend"] == "default"
    assert "# TYPE respgate_ready gauge" in run_respgate("stats", "--prometheus", env=env_of(gate)).stdout
    gate.finish()
    done = run_respgate("stats", env=env_of(gate))
    assert done.returncode == 1 and done.stdout == ""
    assert f"cannot connect to the stats port 127.0.0.1:{gate.stats_port}" in done.stderr
    done = run_respgate("stats", env={**env_of(gate), "RESPGATE_STATS_ADDRESS": ""})
    assert done.returncode == 1 and "there is no stats port to ask" in done.stderr


def test_stats_asks_over_the_unix_socket_when_there_is_one(redis_server, start_respgate, tmp_path):
    path = str(tmp_path / "stats.sock")
    start_respgate(redis_server, settings={"stats.unix_socket": path, "stats.address": ""})
    env = {"RESPGATE_STATS_UNIX_SOCKET": path, "RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0"}
    assert json.loads(run_respgate("stats", "--json", env=env).stdout)["v"] == 1


def test_top_once_is_plain_text(gate):
    done = run_respgate("top", "--once", env=env_of(gate))
    assert done.returncode == 0
    assert "\033" not in done.stdout and re.search(r"^\* default +up", done.stdout, re.M)
    assert re.search(r"^\d\d:\d\d:\d\d selected backend=default epoch=1 why=first", done.stdout, re.M)


def test_top_repaints_a_terminal_and_leaves_it_as_it_was(redis_server, gate):
    ours, theirs = pty.openpty()
    child = subprocess.Popen([respgate_binary(), "top"], env=respgate_env(env_of(gate)), stdin=subprocess.DEVNULL,
                             stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""

    def read_until(text, deadline):
        nonlocal seen
        while text not in seen:
            assert time.monotonic() < deadline, seen[-500:]
            seen += os.read(ours, 65536)
        seen = seen[seen.index(text) + len(text):]

    try:
        deadline = time.monotonic() + 20
        read_until(b"\033[?1049h", deadline)
        read_until(b"* default", deadline)
        redis_server.kill()
        read_until(b"NOT READY", deadline)
        child.send_signal(signal.SIGINT)
        read_until(b"\033[?1049l", deadline)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def slow_lines(gate):
    """RESPGATE SLOWLOG as dicts."""
    return [json.loads(line) for line in ask(gate, "SLOWLOG") if line]


def test_slow_requests_are_listed_with_client_command_and_key(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"stats.slowlog": "150ms", "backend.default.command_timeout": "10s"})
    with gate.connect() as client:
        client.call("CLIENT", "SETNAME", "slowpoke")
        client.call("SET", "quick:key", "v")
        redis_server.call("CLIENT", "PAUSE", "300", "ALL")
        assert client.call("GET", "tenant:0123456789abcdef") is None
        redis_server.call("CLIENT", "PAUSE", "300", "ALL")
        client.send(b"GET a\r\nGET b\r\n")
        client.read_reply(), client.read_reply()
        client.command("BLPOP", "none", "0.2")
        client.read_reply()
        lines = slow_lines(gate)
    assert [(line["command"], line["key"]) for line in lines] == [("GET", "tenant:012345678"), ("GET", "a"), ("", "")]
    for line in lines:
        assert (line["name"], line["backend"], line["outcome"]) == ("slowpoke", "default", "replied")
        assert 150 <= line["ms"] < 5000 and line["waited_ms"] == 0
    assert metrics(gate)["respgate_slow_requests_total"] == 3
    assert [json.loads(line) for line in fetch(gate, "/slowlog")[1].splitlines()] == lines


def test_time_without_a_connection_is_told_apart_and_timeouts_are_listed(start_redis, start_respgate, tmp_path):
    server = start_redis()
    gate = start_respgate(server, settings={"stats.slowlog": "50ms", "backend.default.command_timeout": "300ms",
                                            "fallback.queue_timeout": "20s", **QUICK})
    wait_until(lambda: fetch(gate, "/readyz")[0] == 200, what="ready")
    with gate.connect() as client:
        server.kill()
        wait_for_metric(gate, "respgate_ready", 0)
        client.command("GET", "waits")
        time.sleep(0.2)
        server.start()
        client.read_reply(timeout=20)
        line = wait_until(lambda: slow_lines(gate), what="the request that waited")[-1]
        assert line["key"] == "waits" and line["waited_ms"] >= 100 and line["ms"] - line["waited_ms"] < line["ms"]
        server.pause()
        client.command("GET", "lost")
        assert client.read_reply(timeout=20).startswith(b"-RGUNKNOWN")
        server.resume()
    last = slow_lines(gate)[-1]
    assert (last["key"], last["outcome"]) == ("lost", "timeout") and last["ms"] >= 300


def test_no_slow_log_when_it_is_turned_off_and_its_length_is_bounded(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"stats.slowlog": "0"})
    with gate.connect() as client:
        redis_server.call("CLIENT", "PAUSE", "200", "ALL")
        client.call("GET", "k")
    assert slow_lines(gate) == []
    gate = start_respgate(redis_server, settings={"stats.slowlog": "100ms"})
    with gate.connect() as client:
        redis_server.call("CLIENT", "PAUSE", "300", "ALL")
        client.send(b"GET a\r\n" * 100)
        for _ in range(100):
            client.read_reply()
    assert len(slow_lines(gate)) == 64
