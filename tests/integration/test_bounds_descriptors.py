"""Out of file descriptors: quiet, idle, at work for those who are there, and back as soon as there are some again."""

import contextlib
import os
import resource
import socket
import time

import pytest

from bounds import FastClients, compare, cpu_seconds
from harness import wait_until

SHORT_S = 3.0
CPU_MAX = 0.05
RECOVERY_MAX_S = 1.0
ROOM = 20
LINE = "cannot accept"


def open_descriptors(gate):
    """How many respgate has."""
    return len(os.listdir(f"/proc/{gate.pid}/fd"))


@pytest.fixture
def short(respgate):
    """respgate with all its descriptors in use: the sockets it accepted, and those it has no descriptor for."""
    respgate.wait_for_log("backend up")
    limit = open_descriptors(respgate) + ROOM
    hard = resource.prlimit(respgate.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(respgate.pid, resource.RLIMIT_NOFILE, (limit, hard))
    sockets = [socket.create_connection(("127.0.0.1", respgate.port), 5) for _ in range(2 * ROOM)]
    respgate.wait_for_log(LINE)
    assert open_descriptors(respgate) == limit
    yield respgate, sockets
    for sock in sockets:
        sock.close()


def ask(sock):
    """One PING."""
    sock.settimeout(10)
    sock.sendall(b"*1\r\n$4\r\nPING\r\n")
    return sock.recv(64)


@pytest.mark.figures
def test_a_shortage_is_quiet_and_idle(short, figure):
    """One line in ten seconds, next to no CPU time, and who is connected is served."""
    gate, sockets = short
    used, start = cpu_seconds(gate.pid), time.monotonic()
    while time.monotonic() < start + SHORT_S:
        assert all(ask(sock) == b"+PONG\r\n" for sock in sockets[:ROOM // 2])
        time.sleep(0.2)  # the shortage has to last
    share = (cpu_seconds(gate.pid) - used) / (time.monotonic() - start)
    lines = [line for line in gate.log().splitlines() if LINE in line]
    figure(f"{SHORT_S:g} s without descriptors: {len(lines)} log lines (at most 1 in 10 s), {share:.1%} of a core"
           f" (at most {CPU_MAX:.0%})")
    assert len(lines) == 1 and "Too many open files" in lines[0]
    assert share <= CPU_MAX


@pytest.mark.figures
def test_it_accepts_again_once_there_are_descriptors(short, figure):
    """Who waited for one is served soon after others left."""
    gate, sockets = short
    waiting = sockets[-1]
    waiting.setblocking(False)
    with pytest.raises(BlockingIOError):
        waiting.recv(1)
    for sock in sockets[:-1]:
        sock.close()
    start = time.monotonic()
    assert ask(waiting) == b"+PONG\r\n"
    took = time.monotonic() - start
    figure(f"accepting again {took:.2f} s after descriptors are free (at most {RECOVERY_MAX_S})")
    assert took <= RECOVERY_MAX_S
    wait_until(lambda: open_descriptors(gate) < ROOM + 10, what="the closed clients to be gone")


@pytest.mark.figures
def test_clients_who_are_there_do_not_notice(start_respgate, redis_server, figure):
    """Fast clients keep their p99 while nobody else can be accepted."""
    gate = start_respgate(redis_server)
    with FastClients(gate, redis_server) as fast:
        hard = resource.prlimit(gate.pid, resource.RLIMIT_NOFILE)[1]

        @contextlib.contextmanager
        def shortage():
            before = resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (open_descriptors(gate), hard))
            with socket.create_connection(("127.0.0.1", gate.port), 5) as turned_away:
                gate.wait_for_log(LINE)
                yield
                resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, before)
                assert ask(turned_away) == b"+PONG\r\n"
        compare(figure, "a shortage of descriptors", fast, shortage)
