"""What 10,000 clients cost while they do nothing, and that being busy leaves nothing behind."""

import os
import socket

import pytest

from bounds import KIB, allow_descriptors, memory
from harness import wait_until

pytestmark = pytest.mark.figures

CLIENTS = 10_000
COST_MAX = 2 * KIB
GROWTH_MAX = 64 * KIB  # of all of them together, in 20,000 transitions from idle to busy and back
BURSTS = 10
PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"


def descriptors(gate):
    """How many descriptors respgate has open."""
    return len(os.listdir(f"/proc/{gate.pid}/fd"))


@pytest.fixture
def crowd(start_respgate, redis_server):
    """respgate, what it weighed before, and 10,000 connections that it accepted."""
    assert allow_descriptors() > CLIENTS + 100, "the hard limit of descriptors is too low for this test"
    gate = start_respgate(redis_server, settings={"listen.max_clients": CLIENTS})
    gate.wait_for_log("backend up")
    before, open_before = memory(gate.pid), descriptors(gate)
    sockets = [socket.create_connection(("127.0.0.1", gate.port), 10) for _ in range(CLIENTS)]
    wait_until(lambda: descriptors(gate) >= open_before + CLIENTS, what="all clients to be accepted")
    yield gate, before, sockets
    for sock in sockets:
        sock.close()


def ping_all(sockets):
    """All ask at once, then all read."""
    for sock in sockets:
        sock.sendall(PING)
    for sock in sockets:
        assert sock.recv(64) == PONG


def ping_each(sockets):
    """One after the other, each waits for its reply."""
    for sock in sockets:
        sock.sendall(PING)
        assert sock.recv(64) == PONG


def test_ten_thousand_idle_clients_cost_two_kib_each(crowd, figure):
    """Before their first command, and idle again after it."""
    gate, before, sockets = crowd
    fresh = (memory(gate.pid) - before) / CLIENTS
    ping_each(sockets)
    used = (memory(gate.pid) - before) / CLIENTS
    figure(f"{CLIENTS} idle clients: {fresh:.0f} bytes each when new, {used:.0f} after one PING (at most {COST_MAX})")
    assert max(fresh, used) <= COST_MAX
    settled = memory(gate.pid)
    ping_each(sockets)
    ping_each(sockets)
    grown = memory(gate.pid) - settled
    figure(f"20000 more idle-to-busy transitions grew respgate by {grown / KIB:.0f} KiB (at most {GROWTH_MAX / KIB:.0f})")
    assert grown <= GROWTH_MAX


def test_all_clients_busy_at_once_leave_little_behind(crowd, figure):
    """What the bursts leave for the next one (free blocks, a longer queue) counts as cost of the clients."""
    gate, before, sockets = crowd
    idle = memory(gate.pid)
    for _ in range(BURSTS):
        ping_all(sockets)
    kept, cost = memory(gate.pid) - idle, (memory(gate.pid) - before) / CLIENTS
    figure(f"after {BURSTS} bursts of {CLIENTS} clients: {kept / KIB:.0f} KiB kept for the next,"
           f" {cost:.0f} bytes for each client in all (at most {COST_MAX})")
    assert cost <= COST_MAX
