"""Proves when /livez, /readyz and respgate health change their minds: with the loop, with the verdict, before the drain."""

import contextlib
import http.client
import json
import signal
import socket

import pytest

from harness import run_respgate, wait_until
from stats_view import fetch, thread_stopped, worker_threads

QUICK = {"health.interval": "50ms", "health.fast_interval": "20ms"}


@pytest.fixture
def gate(redis_server, start_respgate):
    """respgate that has chosen its only backend."""
    started = start_respgate(redis_server, settings=QUICK)
    wait_until(lambda: fetch(started, "/readyz")[0] == 200, what="it to be ready")
    return started


@pytest.fixture
def events(gate):
    """next(events): what happens, as it happens."""
    follower = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
    follower.request("GET", "/events?follow")
    stream = follower.getresponse()
    yield (json.loads(line) for line in iter(stream.readline, b""))
    follower.close()


def test_live_though_all_backends_are_down(redis_server, gate):
    redis_server.kill()
    wait_until(lambda: fetch(gate, "/readyz")[0] == 503, what="it not to be ready")
    assert fetch(gate, "/livez") == (200, "live\n")
    assert fetch(gate, "/startupz")[0] == 200
    env = {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{gate.port}", "RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0"}
    assert run_respgate("health", "--live", env=env).returncode == 0
    assert run_respgate("health", env=env).returncode == 1


def test_not_live_while_the_loop_that_answers_is_stuck(gate):
    with socket.create_connection(("127.0.0.1", gate.stats_port), timeout=10) as probe:
        with thread_stopped(gate.pid):
            probe.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            probe.settimeout(0.5)
            with pytest.raises(TimeoutError):
                probe.recv(100)
        probe.settimeout(10)
        assert probe.recv(100).startswith(b"HTTP/1.1 200")


def test_ready_changes_in_the_turn_of_the_verdict(redis_server, gate, events):
    """Whoever has read of the verdict finds /readyz changed at the first look."""
    selected = (entry["backend"] for entry in events if entry["event"] == "selected")
    assert next(selected) == "default"
    for act, chosen, status in ((redis_server.kill, "none", 503), (redis_server.start, "default", 200)):
        act()
        assert next(selected) == chosen
        assert fetch(gate, "/readyz")[0] == status


def test_not_ready_before_the_listeners_close(redis_server, gate):
    """Workers that stand still cannot close theirs yet, and clients still come."""
    with contextlib.ExitStack() as stopped:
        for tid in worker_threads(gate):
            stopped.enter_context(thread_stopped(tid))
        gate.signal(signal.SIGTERM)
        wait_until(lambda: fetch(gate, "/readyz") == (503, "not ready: draining\n"), what="draining")
        socket.create_connection(("127.0.0.1", gate.port), timeout=10).close()
    assert gate.child.wait(10) == 0
