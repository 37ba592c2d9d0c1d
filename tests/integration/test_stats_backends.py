"""Proves what is told of each backend: how connecting fails, TLS and its certificate, names, bytes, time down, switches;
and what is told of failures and of the log."""

import ssl
import subprocess
import sys
import time

import pytest

from backend_view import backend_ids
from certs import certificates
from harness import ROOT, wait_until
from stats_view import fetch, metrics, wait_for_metric
from tls_server import ListeningTls
from upstash import TlsServer

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, close_after, hold  # noqa: E402 pylint: disable=wrong-import-position

QUICK = {"health.interval": "50ms", "health.fast_interval": "20ms", "fallback.failback_hold": "50ms"}
TRUST = {"RESPGATE_TLS_CA_FILE": certificates().ca}


def of(name, backend="default", **labels):
    """The series of a backend."""
    return f'respgate_backend_{name}{{backend="{backend}"' + "".join(f',{k}="{v}"' for k, v in labels.items()) + "}"


def wait_above(gate, series, bound):
    """Wait until a series is above this; returns it."""
    return wait_until(lambda: (lambda value: value > bound and value)(metrics(gate)[series]),
                      what=lambda: f"{series} above {bound}, not {metrics(gate)[series]}")


@pytest.fixture
def pair(start_redis, start_respgate):
    """(gate, first, second): respgate on the first of two backends."""
    first, second = start_redis(), start_redis()
    gate = start_respgate("", settings={
        "backend.first.url": first.url(), "backend.first.priority": 1, "backend.second.url": second.url(),
        "backend.second.priority": 2, "fallback.on_dataset_change": "continue", **QUICK})
    wait_for_metric(gate, 'respgate_backend_selected{backend="first"}', 1)
    return gate, first, second


def test_handshakes_are_counted_and_the_certificate_tells_when_it_runs_out(start_respgate, tmp_path):
    server = TlsServer(tmp_path).start()
    try:
        gate = start_respgate(server.url(), env=TRUST, settings=QUICK)
        with gate.connect() as client:
            assert client.call("SET", "k", "v") == "OK"
            before = metrics(gate)
            assert before[of("tls_handshakes_total", result="done")] >= 2
            assert before[of("tls_handshakes_total", result="failed")] == 0
            end = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", certificates().certificate("good")[0]],
                                 capture_output=True, text=True, check=True).stdout.strip().partition("=")[2]
            assert before[of("tls_certificate_expiry_timestamp_seconds")] == ssl.cert_time_to_seconds(end)
            server.call("CLIENT", "KILL", "TYPE", "normal")
            wait_above(gate, of("tls_resumptions_total"), before[of("tls_resumptions_total")])
    finally:
        server.kill()


def test_a_certificate_that_was_renewed_is_seen_though_no_connection_is_lost(start_respgate, tmp_path):
    server = TlsServer(tmp_path).start()
    try:
        gate = start_respgate(server.url(), env=TRUST, settings={**QUICK, "health.cert_interval": "300ms"})
        series = of("tls_certificate_expiry_timestamp_seconds")
        old = wait_above(gate, series, 0)
        with gate.connect() as client:
            assert client.call("SET", "k", "v") == "OK"
            lanes = backend_ids(server)
            cert, key = certificates().certificate("renewed")
            assert server.call("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key) == "OK"
            assert wait_above(gate, series, old) - old == 366 * 24 * 3600
            assert client.call("GET", "k") == b"v" and backend_ids(server) == lanes
    finally:
        server.kill()


def test_handshakes_that_fail_are_counted_and_show_no_certificate(start_respgate):
    with ListeningTls("expired") as peer:
        gate = start_respgate(f"rediss://127.0.0.1:{peer.port}", env=TRUST, settings=QUICK)
        wait_above(gate, of("tls_handshakes_total", result="failed"), 1)
    assert metrics(gate)[of("tls_handshakes_total", result="done")] == 0
    assert metrics(gate)[of("tls_certificate_expiry_timestamp_seconds")] == 0


def failed_steps(gate):
    """What connections that could not be made were at, so far."""
    shown = metrics(gate)
    return [step for step in ("dns", "tcp", "tls", "auth", "hello", "id", "select", "ping")
            if shown[of("connect_failures_total", step=step)]]


def test_connections_that_fail_are_counted_by_what_they_were_at(start_respgate, start_redis):
    with FakeRedis() as fake:
        fake.on("HELLO", close_after())
        gate = start_respgate(fake.url(), settings={"fallback.queue_timeout": "100ms"})
        wait_for_metric(gate, of("up"), 1)
        with gate.connect() as client:
            client.call("GET", "k")
            assert failed_steps(gate) == ["hello"]
    server = start_redis(unixsocket=True)
    gate = start_respgate(server.unix_url(), settings={"fallback.queue_timeout": "100ms"})
    wait_for_metric(gate, of("connects_total"), 1)
    server.socket_path.unlink()  # checks keep their connection
    for lane in backend_ids(server):
        server.call("CLIENT", "KILL", "ID", lane)
    with gate.connect() as client:
        client.call("GET", "k")
        assert failed_steps(gate) == ["tcp"]


def test_requests_that_wait_for_a_connection_are_queued(start_respgate):
    with FakeRedis() as fake:
        fake.on("HELLO", hold(b"+OK\r\n"))
        gate = start_respgate(fake.url(), settings={"backend.default.connect_timeout": "20s",
                                                    "fallback.queue_timeout": "20s"})
        wait_for_metric(gate, of("up"), 1)
        with gate.connect() as client:
            client.command("GET", "k")
            wait_for_metric(gate, of("queued_requests"), 1)
            assert metrics(gate)[of("inflight_requests")] == 1
            fake.release()
            client.read_reply()


def test_bytes_are_those_of_the_backend_in_use(pair):
    gate, _, _ = pair
    with gate.connect() as client:
        client.call("SET", "k", "x" * 300_000)
        assert len(client.call("GET", "k")) == 300_000
    after = metrics(gate)
    for way in ("receive", "transmit"):
        assert after[of(f"{way}_bytes_total", "first")] > 300_000 > after[of(f"{way}_bytes_total", "second")] > 0
    assert after["respgate_client_transmit_bytes_total"] > 300_000


def test_what_clients_do_not_take_is_told(gate_with_large_value):
    gate = gate_with_large_value
    with gate.connect() as client:
        for _ in range(8):
            client.command("GET", "large")
        wait_above(gate, "respgate_client_buffered_bytes", 10_000)
    wait_for_metric(gate, "respgate_client_buffered_bytes", 0)


@pytest.fixture
def gate_with_large_value(redis_server, start_respgate):
    """respgate in front of a value of 8 MB."""
    redis_server.call("SET", "large", "x" * 8_000_000)
    return start_respgate(redis_server)


def test_time_down_is_summed_up(pair):
    gate, first, _ = pair
    series = of("down_seconds_total", "first")
    assert metrics(gate)[series] == 0
    begun = time.monotonic()
    first.kill()
    wait_above(gate, series, 0.3)
    first.start()
    wait_for_metric(gate, of("up", "first"), 1)
    down = metrics(gate)[series]
    assert 0.3 < down <= time.monotonic() - begun
    wait_for_metric(gate, 'respgate_failovers_total{from="second",to="first",reason="failback"}', 1)
    assert metrics(gate)[series] == down
    assert metrics(gate)[of("down_seconds_total", "second")] == 0


def test_switches_are_counted_by_where_from_where_to_and_why_and_how_long_they_took(pair):
    gate, first, second = pair

    def switches():
        return {name[len("respgate_failovers_total{"):-1]: value for name, value in metrics(gate).items()
                if name.startswith("respgate_failovers_total{") and value}
    seen = {'from="none",to="first",reason="first"': 1}
    assert switches() == seen
    assert metrics(gate)["respgate_failover_duration_seconds_count"] == 0
    first.kill()
    seen['from="first",to="second",reason="failover"'] = 1
    wait_until(lambda: switches() == seen, what=lambda: f"{seen}, not {switches()}")
    assert metrics(gate)["respgate_failover_duration_seconds_count"] == 1
    second.kill()
    seen['from="second",to="none",reason="all_down"'] = 1
    wait_until(lambda: switches() == seen, what=lambda: f"{seen}, not {switches()}")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 0.2, what="some time without any")
    second.start()
    seen['from="none",to="second",reason="first"'] = 1
    wait_until(lambda: switches() == seen, what=lambda: f"{seen}, not {switches()}")
    after = metrics(gate)
    assert after["respgate_failover_duration_seconds_count"] == 2
    assert 0.2 <= after["respgate_failover_duration_seconds_sum"] < 10


def test_failures_are_counted_by_class_and_word_whoever_said_it(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"backend.default.command_timeout": "200ms",
                                                  "fallback.queue_timeout": "0ms", **QUICK, "health.timeout": "10s"})
    wait_for_metric(gate, "respgate_ready", 1)
    with gate.connect() as client:
        client.call("LPUSH", "list", "x")
        for command in (("GET", "list"), ("EVALSHA", "0" * 40, "0"), ("CLIENT", "SETINFO", "NOSUCH", "x")):
            client.command(*command)
            assert client.read_reply().startswith(b"-")
        redis_server.pause()
        client.command("INCR", "k")
        assert client.read_reply().startswith(b"-RGUNKNOWN")
        redis_server.resume()
        redis_server.kill()
        wait_for_metric(gate, "respgate_ready", 0)
        client.command("GET", "k")
        assert client.read_reply().startswith(b"-RGUNAVAIL")
    after = metrics(gate)
    failures = {name[len("respgate_request_failures_total{"):-1] for name, value in after.items()
                if name.startswith("respgate_request_failures_total{") and value}
    assert failures == {f'class="{kind}",code="{code}"' for kind, code in (
        ("read", "WRONGTYPE"), ("script", "NOSCRIPT"), ("connection", "ERR"), ("write", "RGUNKNOWN"),
        ("read", "RGUNAVAIL"))}
    for origin, code in (("backend", "WRONGTYPE"), ("backend", "NOSCRIPT"), ("respgate", "ERR"),
                         ("respgate", "RGUNKNOWN"), ("respgate", "RGUNAVAIL")):
        assert after[f'respgate_error_replies_total{{origin="{origin}",code="{code}"}}'] == 1, (origin, code)
    assert after[of("request_failures_total")] == 1


def test_lines_that_the_log_leaves_out_are_counted(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"stats.admin": "yes"})

    def left_out():
        for verb in ("/pin?backend=default", "/unpin"):
            assert fetch(gate, verb, method="POST")[0] == 200
        return metrics(gate)["respgate_log_lines_dropped_total"]
    assert metrics(gate)["respgate_log_lines_dropped_total"] == 0
    dropped = wait_until(left_out, what="more lines in a second than are written")
    assert dropped >= 1
