"""Proves the stats port: formats, probes, events, bounds, and that nothing secret or endless is in it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from harness import Respgate, minimal_env, run_respgate, wait_until
from service_manager import ServiceManager
from stats_view import (events, fetch, fetch_unix, metrics, stats, thread_stopped, wait_for_metric, worker_threads)

PASSWORD = "correct-horse-battery"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def two_backends(first, second, **more):
    """--set options for two backends in their order, with quick checks."""
    return {"backend.first.url": first if isinstance(first, str) else first.url(), "backend.first.priority": 1,
            "backend.second.url": second.url(), "backend.second.priority": 2, "health.interval": "50ms",
            "health.fast_interval": "20ms", **more}


@pytest.fixture
def gate(redis_server, start_respgate):
    """respgate that has chosen its only backend."""
    started = start_respgate(redis_server)
    wait_until(lambda: fetch(started, "/readyz")[0] == 200, what="it to be ready")
    return started


def promtool(text):
    """promtool's word on /metrics; "" when it has nothing to say."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}")


def test_promtool_has_nothing_to_say_about_the_metrics(gate):
    assert promtool(fetch(gate, "/metrics")[1]) == ""


def test_openmetrics_has_the_same_samples_for_who_accepts_it(gate):
    text = fetch(gate, "/metrics", headers=OPENMETRICS)[1]
    assert text.endswith("# EOF\n")
    families = list(text_string_to_metric_families(text))
    names = {sample.name for family in families for sample in family.samples}
    assert names == {series.split("{")[0] for series in metrics(gate)}


def test_series_are_there_from_the_start_and_are_the_same_after_traffic_and_failures(start_redis, start_respgate):
    first, second = start_redis(), start_redis()
    gate = start_respgate("", settings=two_backends(first, second))
    before = set(metrics(gate))
    wait_for_metric(gate, 'respgate_backend_selected{backend="first"}', 1)
    with gate.connect() as client:
        client.call("CLIENT", "SETNAME", "a-client-by-name")
        for command in (("SET", "a-key", "v"), ("GET", "a-key"), ("NOSUCH",), ("INCR", "a-key"), ("PING",)):
            client.command(*command)
            client.read_reply()
    first.kill()
    wait_for_metric(gate, 'respgate_backend_selected{backend="second"}', 1)
    after = metrics(gate)
    assert set(after) == before
    assert not [series for series in after if "a-key" in series or "a-client" in series or "127.0.0.1" in series]
    assert after["respgate_requests_accepted_total"] == 6
    assert after['respgate_requests_closed_total{outcome="replied"}'] == 6
    assert after['respgate_backend_state{backend="first",state="down"}'] == 1
    assert after["respgate_epoch"] == 2


def test_what_is_sent_again_is_timed_as_what_it_is(start_respgate, redis_server):
    """Scripts that the backend has forgotten, and who waits for a place."""
    gate = start_respgate(redis_server)
    with gate.connect() as client:
        sha = client.call("SCRIPT", "LOAD", "return 7")
        assert client.call("EVALSHA", sha, 0) == 7 and client.call("SEM.COUNT", "s") == [0, 0, 0]
        redis_server.call("SCRIPT", "FLUSH")
        assert client.call("EVALSHA", sha, 0) == 7 and client.call("SEM.COUNT", "s") == [0, 0, 0]
        assert client.call("SEM.ACQUIRE", "s", 1, 60000, "t", "WAIT", 100)[0] == 1
    wait_for_metric(gate, 'respgate_request_duration_seconds_count{class="script"}', 3)
    wait_for_metric(gate, 'respgate_request_duration_seconds_count{class="limiter"}', 4)



def test_requests_are_counted_by_class_and_command_and_timed_by_class_and_backend(redis_server, gate):
    before = metrics(gate)
    with gate.connect() as client:
        for command in (("SET", "k", "v"), ("GET", "k"), ("MGET", "k"), ("NOSUCH",), ("LPUSH", "k", "x"),
                        ("CLIENT", "ID"), ("EVAL", "return 1", "0"), ("BLPOP", "none", "0.1"), ("MULTI",), ("EXEC",)):
            client.command(*command)
            client.read_reply()
    wait_for_metric(gate, 'respgate_request_duration_seconds_count{class="tx"}', 2)
    after = metrics(gate)

    def grown(name):
        return after[f"respgate_{name}"] - before[f"respgate_{name}"]

    for series, n in (('requests_total{class="read"}', 2), ('requests_total{class="write"}', 2),
                      ('requests_total{class="script"}', 1), ('requests_total{class="blocking"}', 1),
                      ('requests_total{class="tx"}', 2), ('requests_total{class="connection"}', 1),
                      ('requests_total{class="other"}', 1), ('commands_total{command="GET"}', 1),
                      ('commands_total{command="CLIENT"}', 1), ('commands_total{command="other"}', 1),
                      ('request_duration_seconds_count{class="read"}', 2),
                      ('request_duration_seconds_count{class="blocking"}', 1),
                      ('request_duration_seconds_bucket{class="blocking",le="0.1"}', 0),
                      ('request_duration_seconds_bucket{class="blocking",le="0.5"}', 1),
                      ('request_duration_seconds_count{class="connection"}', 0),
                      ('backend_request_duration_seconds_count{backend="default"}', 9),
                      ('error_replies_total{origin="backend",code="ERR"}', 1),
                      ('error_replies_total{origin="backend",code="WRONGTYPE"}', 1),
                      ('request_failures_total{class="other",code="ERR"}', 1),
                      ('request_failures_total{class="write",code="WRONGTYPE"}', 1),
                      ('request_failures_total{class="read",code="WRONGTYPE"}', 0)):
        assert grown(series) == n, series
    assert 0.1 < grown('request_duration_seconds_sum{class="blocking"}') < 1


def test_a_block_in_one_piece_is_counted_command_by_command(gate):
    with gate.connect() as client:
        client.send(b"MULTI\r\nSET k v\r\nGET k\r\nEXEC\r\n")
        for _ in range(4):
            client.read_reply()
    after = metrics(gate)
    for command in ("MULTI", "SET", "GET", "EXEC"):
        assert after[f'respgate_commands_total{{command="{command}"}}'] == 1


def test_checks_and_selections_are_counted(start_redis, start_respgate):
    first, second = start_redis(), start_redis()
    gate = start_respgate("", settings=two_backends(first, second, **{"fallback.failback_hold": "50ms"}))
    wait_for_metric(gate, 'respgate_backend_selections_total{backend="first",why="first"}', 1)
    first.kill()
    wait_for_metric(gate, 'respgate_backend_selections_total{backend="second",why="failover"}', 1)
    first.start()
    wait_for_metric(gate, 'respgate_backend_selections_total{backend="first",why="failback"}', 1)
    after = metrics(gate)
    assert after['respgate_backend_check_failures_total{backend="first",reason="refused"}'] >= 1
    assert after['respgate_backend_check_duration_seconds_count{backend="second"}'] >= 2
    assert after["respgate_dataset_changes_total"] == 2
    assert after["respgate_unselections_total"] == 0


def test_what_clients_are_doing_is_counted_once_a_second(redis_server, gate):
    clients = [gate.connect() for _ in range(4)]
    clients[0].command("BLPOP", "none", "0")
    clients[1].command("SUBSCRIBE", "news")
    clients[1].read_reply()
    clients[2].call("WATCH", "k")
    for series, n in (("client_connections", 4), ("client_connections_blocking", 1), ("client_connections_pubsub", 1),
                      ("client_connections_tx", 1), ("client_connections_pinned", 3),
                      ('backend_inflight_requests{backend="default"}', 1)):
        wait_for_metric(gate, f"respgate_{series}", n)
    assert metrics(gate)['respgate_backend_connections{backend="default"}'] >= 3


def test_number_of_series_grows_with_the_backends_of_the_configuration_only(start_redis, start_respgate):
    server = start_redis()
    counts = []
    for n in (1, 2, 3):
        settings = {f"backend.b{i}.url": server.url(db=i) for i in range(n)}
        counts.append(len(metrics(start_respgate("", settings=settings))))
    # So many for each backend, and three reasons to go from one to another for each pair.
    assert counts[1] - counts[0] > 3 * 2 and counts[2] - counts[1] - (counts[1] - counts[0]) == 3 * 2


def test_ready_flips_with_the_backend_while_live_stays(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"health.interval": "50ms", "health.fast_interval": "20ms"})
    wait_until(lambda: fetch(gate, "/readyz") == (200, "ready\n"), what="ready")
    assert fetch(gate, "/startupz") == (200, "started\n")
    redis_server.kill()
    wait_until(lambda: fetch(gate, "/readyz")[0] == 503, what="not ready")
    assert fetch(gate, "/readyz")[1] == "not ready: all_down\n"
    assert fetch(gate, "/livez") == (200, "live\n")
    assert metrics(gate)["respgate_ready"] == 0
    lines = fetch(gate, "/readyz?verbose")[1].splitlines()
    assert lines[0].startswith("[-] backend default: down: ") and lines[-1] == "not ready: all_down"
    listed = json.loads(fetch(gate, "/readyz", headers={"Accept": "application/json"})[1])
    assert listed["ready"] is False and listed["reason"] == "all_down"
    assert [item["good"] for item in listed["items"] if item["what"] == "backend"] == [False]


def test_startup_is_not_over_before_the_backends_have_a_verdict(start_respgate, tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        gate = start_respgate(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", settings={"health.timeout": "60s"})
        assert fetch(gate, "/startupz")[0] == 503
        assert fetch(gate, "/livez")[0] == 200


def test_drain_is_told_before_it_is_over(redis_server, gate):
    client = gate.connect()
    client.command("BLPOP", "empty", "30")
    wait_until(lambda: redis_server.call("INFO", "clients").count(b"blocked_clients:1"), what="a blocked client")
    gate.signal(signal.SIGTERM)
    wait_until(lambda: fetch(gate, "/readyz") == (503, "not ready: draining\n"), what="draining")
    assert metrics(gate)["respgate_draining"] == 1
    redis_server.call("RPUSH", "empty", "x")
    assert client.read_reply().endswith(b"x\r\n")
    client.close()


def test_a_worker_that_stands_still_is_not_live(tmp_path, redis_server, start_respgate):
    with ServiceManager(tmp_path, watchdog_us=400_000) as manager:
        gate = start_respgate(redis_server, env=manager.env)
        with thread_stopped(worker_threads(gate)[0]):
            status, text = wait_until(lambda: (lambda answer: answer[0] == 503 and answer)(fetch(gate, "/livez")),
                                      timeout=20, what="/livez to say that a worker is stuck")
            manager.wait_for("STATUS", "worker 0 has been stuck for")
            beats = manager.beats
            manager.wait_for("STATUS", "worker 0 has been stuck for")
            assert manager.beats == beats, "no sign of life may be given for it"
        assert "worker 0 has been stuck for" in text
        wait_until(lambda: fetch(gate, "/livez")[0] == 200, what="/livez to be well again")
        wait_until(manager.take, what="signs of life again")
    assert status == 503


def test_version_and_build_info_say_what_the_command_line_says(gate):
    told = json.loads(run_respgate("version", "--json").stdout)
    assert json.loads(fetch(gate, "/version")[1]) == told
    [series] = [name for name in metrics(gate) if name.startswith("respgate_build_info{")]
    labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
    assert labels == {key: told[key] for key in ("version", "commit", "libevent", "hiredis", "openssl")}


def test_events_tell_a_failover_in_order_and_followers_get_it_as_it_comes(start_redis, start_respgate):
    first, second = start_redis(), start_redis()
    gate = start_respgate("", settings=two_backends(first, second))
    wait_for_metric(gate, 'respgate_backend_selected{backend="first"}', 1)
    follower = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
    follower.request("GET", "/events?follow")
    stream = follower.getresponse()
    first.kill()
    seen = []
    while not seen or seen[-1].get("backend") != "second" or seen[-1]["event"] != "selected":
        seen.append(json.loads(stream.readline()))
    assert [entry["n"] for entry in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["why"] == "failover" and seen[-1]["before"] == "first"
    assert "does not follow" in seen[-1]["data"]
    assert events(gate)[:len(seen)] == seen
    assert stats(gate)["events"][:len(seen)] == seen
    follower.close()


def test_followers_are_bounded_and_a_place_is_free_again_when_one_leaves(gate):
    def follow():
        connection = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
        connection.request("GET", "/events?follow")
        return connection, connection.getresponse()

    followers = [follow() for _ in range(8)]
    assert [answer.status for _, answer in followers] == [200] * 8
    assert fetch(gate, "/events?follow")[0] == 503
    for connection, answer in followers:
        answer.close()
        connection.close()
    again = wait_until(lambda: (lambda pair: pair[1].status == 200 and pair)(follow()), what="a place to follow from")
    again[0].close()


def test_stats_json_says_which_backend_since_when_and_why(start_redis, start_respgate):
    second = start_redis()
    gate = start_respgate("", settings=two_backends("redis://127.0.0.1:1/0", second),
                          env={"REDIS_URL": "redis://elsewhere/0"})
    wait_for_metric(gate, 'respgate_backend_selected{backend="second"}', 1)
    shown = stats(gate)
    assert shown["v"] == 1 and shown["ready"] is True and shown["draining"] is False
    assert shown["route"]["backend"] == "second" and shown["route"]["why"] == "first"
    assert abs(shown["route"]["since_ms"] - time.time() * 1000) < 60000
    assert [(backend["name"], backend["state"], backend["selected"]) for backend in shown["backends"]] == [
        ("first", "down", False), ("second", "up", True)]
    assert shown["backends"][0]["cause"] == "refused" and "refused" in shown["backends"][0]["reason"]
    assert shown["config"]["ignored_env"] == "REDIS_URL"
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", fetch(gate, "/metrics")[1], re.M))
    assert {family["name"]: family["type"] for family in shown["metrics"]} == typed


def test_config_and_all_else_keep_secrets(start_redis, start_respgate):
    server = start_redis(config={"requirepass": PASSWORD})
    gate = start_respgate(server.url(user="default", password=PASSWORD),
                          settings={"listen.auth": "password", "listen.password": PASSWORD + "-2"})
    wait_until(lambda: fetch(gate, "/readyz")[0] == 200, what="ready")
    for path in ("/config", "/config?text", "/stats.json", "/events", "/metrics", "/readyz?verbose", "/version"):
        status, text = fetch(gate, path)
        assert status == 200 and PASSWORD not in text, path
    values = {row["key"]: row for row in json.loads(fetch(gate, "/config")[1])["values"]}
    assert values["backend.default.url"]["value"] == f"redis://default:***@127.0.0.1:{server.port}/0"
    assert values["backend.default.url"]["origin"] == "env RESPGATE_BACKEND_URL"


def test_reloads_are_counted_and_refused_ones_say_why(redis_server, tmp_path):
    path = tmp_path / "respgate.ini"
    path.write_text(f"[backend a]\nurl = {redis_server.url()}\n")
    gate = Respgate(tmp_path, "", env={"RESPGATE_CONFIG": str(path)}).start()
    try:
        gate.signal(signal.SIGHUP)
        wait_for_metric(gate, "respgate_config_reloads_total", 1)
        path.write_text("[backend a]\nurl = nonsense\n")
        gate.signal(signal.SIGHUP)
        wait_for_metric(gate, "respgate_config_reload_failures_total", 1)
        path.write_text(f"[backend a]\nurl = {redis_server.url()}\n[stats]\nunix_socket = /nowhere/else\n")
        gate.signal(signal.SIGHUP)
        wait_for_metric(gate, "respgate_config_reload_failures_total", 2)
        told = [entry for entry in events(gate) if entry["event"] == "reload refused"]
        assert "backend.a.url" in told[0]["reason"] and "stats.unix_socket" in told[1]["reason"]
    finally:
        gate.finish()


def test_methods_paths_and_headers(gate):
    connection = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
    connection.request("HEAD", "/version")
    head = connection.getresponse()
    assert head.read() == b"" and head.status == 200
    connection.request("GET", "/version")
    answer = connection.getresponse()
    body = answer.read()
    assert head.getheader("Content-Length") == str(len(body)) and json.loads(body)["libevent"]
    assert answer.getheader("Cache-Control") == "no-store"
    connection.request("POST", "/metrics", body="x")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")
    connection.close()
    status, text = fetch(gate, "/nowhere")
    assert status == 404 and "/metrics" in text.split()


def test_a_head_or_body_without_end_is_not_kept(gate):
    with socket.create_connection(("127.0.0.1", gate.stats_port), timeout=10) as raw:
        raw.sendall(b"GET /livez HTTP/1.1\r\n" + b"X: " + b"y" * 20000)
        try:
            assert not raw.recv(65536).startswith(b"HTTP/1.1 200")
        except ConnectionResetError:
            pass
    assert fetch(gate, "/livez")[0] == 200


def test_connections_are_bounded_and_the_next_is_served_when_one_leaves(gate):
    idle = [socket.create_connection(("127.0.0.1", gate.stats_port), timeout=10) for _ in range(64)]
    wait_until(lambda: metrics_hold_back(gate, idle[0]), what="the bound")
    with socket.create_connection(("127.0.0.1", gate.stats_port), timeout=10) as late:
        late.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.recv(100)
        late.settimeout(10)
        idle.pop().close()
        assert late.recv(100).startswith(b"HTTP/1.1 200")
    for connection in idle:
        connection.close()
    wait_until(lambda: fetch(gate, "/livez")[0] == 200, what="room")


def metrics_hold_back(gate, connection):
    """Whether all 64 were accepted: one of them is answered only then for certain."""
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    text = b""
    while b"process_start_time_seconds " not in text.split(b"# TYPE process_start_time_seconds")[-1]:
        text += connection.recv(65536)
    return True


def test_a_connection_without_a_request_is_closed(gate):
    with socket.create_connection(("127.0.0.1", gate.stats_port), timeout=20) as idle:
        begun = time.monotonic()
        assert idle.recv(1) == b""
        assert time.monotonic() - begun > 1


def test_unix_socket_serves_the_same_to_its_owner_only(redis_server, start_respgate, tmp_path):
    path = tmp_path / "stats.sock"
    gate = start_respgate(redis_server, settings={"stats.unix_socket": path, "stats.address": ""})
    assert path.stat().st_mode & 0o777 == 0o600
    assert fetch_unix(path, "/livez") == (200, "live\n")
    with pytest.raises(ConnectionRefusedError):
        fetch(gate, "/livez")
    gate.finish()
    assert not path.exists()


def test_a_port_that_was_asked_for_must_be_had():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run_respgate("run", env=minimal_env(RESPGATE_STATS_ADDRESS=address))
    assert done.returncode == 1
    assert "no stats port" in done.stderr and "Address already in use" in done.stderr


def test_the_default_port_is_done_without_when_it_is_taken(redis_server, tmp_path):
    holders = []
    try:
        holders.append(socket.socket())
        holders[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holders[0].bind(("127.0.0.1", 9380))
            holders[0].listen()
        except OSError:
            holders.clear()  # somebody has it already, which is as good
        gate = Respgate(tmp_path, redis_server.url())
        gate.stats_port = None
        gate.start()
        gate.wait_for_log("no stats port")
        with gate.connect() as client:
            assert client.call("PING") == "PONG"
        gate.finish()
    finally:
        for holder in holders:
            holder.close()
