"""Proves that nobody at the stats port can make it hold memory or connections, smuggle an order, or outlive what it shows."""

import contextlib
import select
import signal
import socket

import pytest

from harness import Respgate, minimal_env, run_respgate, wait_until
from stats_view import fetch, fetch_unix, metrics, stats, thread_stopped, wait_for_metric, worker_threads

FOLLOW = b"GET /events?follow HTTP/1.1\r\nHost: localhost\r\n\r\n"
MIB = 1 << 20


@pytest.fixture
def gate(redis_server, start_respgate):
    """respgate that takes orders over TCP and has chosen its only backend."""
    started = start_respgate(redis_server, settings={"stats.admin": "yes"})
    wait_until(lambda: fetch(started, "/readyz")[0] == 200, what="it to be ready")
    return started


def dial(gate, receive_buffer=0):
    """A connection to the stats port."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", gate.stats_port))
    return connection


def test_what_a_follower_sends_is_left_in_the_kernel(gate):
    with dial(gate) as follower:
        follower.sendall(FOLLOW)
        assert follower.recv(100).startswith(b"HTTP/1.1 200")
        follower.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 * MIB:
                sent += follower.send(b"x" * 65536)
        assert sent < 32 * MIB
    assert fetch(gate, "/livez")[0] == 200


def test_what_follows_a_head_is_never_taken_for_a_request(gate):
    order = b"POST /pin?backend=default HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    head = b"HEAD /version HTTP/1.1\r\nHost: evil.example\r\nContent-Length: %d\r\n\r\n" % len(order)
    with dial(gate) as raw:
        raw.sendall(head + order)
        answers = b""
        while part := raw.recv(65536):
            answers += part
    assert answers.count(b"HTTP/1.1 ") == 1
    assert stats(gate)["route"]["pinned"] == ""


def test_requests_that_come_as_it_ends_find_nothing_that_is_gone(gate):
    client = gate.connect()
    client.command("BLPOP", "none", "30")
    wait_for_metric(gate, "respgate_client_connections_blocking", 1)
    gate.signal(signal.SIGTERM)
    wait_until(lambda: fetch(gate, "/readyz") == (503, "not ready: draining\n"), what="draining")
    with thread_stopped(gate.pid):
        client.close()
        wait_until(lambda: not worker_threads(gate), what="the worker to end")
        late = [dial(gate) for _ in range(3)]
        for connection, request in zip(late, (b"GET /stats.json", b"GET /metrics", b"POST /unpin")):
            connection.sendall(request + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    assert gate.child.wait(10) == 0
    for connection in late:
        connection.close()


def test_a_follower_that_does_not_read_is_let_go(redis_server, tmp_path):
    path, socket_path = tmp_path / "respgate.ini", tmp_path / "stats.sock"
    good = f"[backend a]\nurl = {redis_server.url()}\n[stats]\nunix_socket = {socket_path}\n"
    path.write_text(good)
    gate = Respgate(tmp_path, "", env={"RESPGATE_CONFIG": str(path)}).start()
    try:
        with socket.socket(socket.AF_UNIX) as follower:  # of which the kernel keeps less than of TCP
            follower.settimeout(30)
            follower.connect(str(socket_path))
            follower.sendall(FOLLOW)
            wait_for_metric(gate, 'respgate_backend_selected{backend="a"}', 1)
            descriptors = metrics(gate)["process_open_fds"]
            path.write_text(good + "[health]\n" + "".join(f"nonsense{'x' * 90}{n} = 1\n" for n in range(1000)))
            for n in range(1, 121):
                gate.signal(signal.SIGHUP)
                wait_for_metric(gate, "respgate_config_reload_failures_total", n)
            wait_until(lambda: metrics(gate)["process_open_fds"] < descriptors, timeout=30, what="it to be closed")
    finally:
        gate.finish()


def test_who_sends_a_byte_now_and_then_does_not_keep_others_out(gate):
    slow = [dial(gate) for _ in range(64)]
    for connection in slow:
        connection.sendall(b"GET /livez HTTP/1.1\r\nX: ")
    with dial(gate) as late:
        late.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")

        def answered():
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"x")
            return select.select([late], [], [], 0.5)[0]
        wait_until(answered, timeout=30, what="an answer")
        assert late.recv(100).startswith(b"HTTP/1.1 200")
    for connection in slow:
        connection.close()


def test_the_unix_socket_of_one_that_lives_is_left_to_it_and_that_of_a_dead_one_is_taken(redis_server, start_respgate,
                                                                                         tmp_path):
    path = tmp_path / "stats.sock"
    first = start_respgate(redis_server, settings={"stats.unix_socket": path}, expect_exit=None)
    done = run_respgate("run", env=minimal_env(RESPGATE_STATS_UNIX_SOCKET=str(path), RESPGATE_STATS_ADDRESS=""))
    assert done.returncode == 1 and "Address already in use" in done.stderr
    assert fetch_unix(path, "/livez") == (200, "live\n")
    first.kill()
    start_respgate(redis_server, settings={"stats.unix_socket": path})
    assert fetch_unix(path, "/livez") == (200, "live\n")
