"""A limiter call that reaches its backend only after another took its place does nothing there.

The backend stands still (SIGSTOP) or is cut off while limiter calls keep coming, it is left, and then it goes on. What a
call writes says when it ran: a GCRA of an empty limit stores the clock plus one interval, a lease ends a lease after its
grant. LIMITS_ROUNDS=50 makes a long run of it.
"""

import os
import time

import pytest

from failover import P500
from harness import wait_until
from network import DistantServer, Network
from test_switch import status

pytestmark = pytest.mark.figures
ROUNDS = int(os.environ.get("LIMITS_ROUNDS", "1"))
CALLS, CONNECTIONS = 1000, 40
PACE_S = 0.0006
LEASE_MS = INTERVAL_MS = 3600_000
SETTINGS = {**P500, "fallback.failback": "manual"}


class Calls:
    """Limiter calls without end, each with a key of its own; nobody waits for a reply."""

    def __init__(self, gate):
        self.connections = [gate.connect() for _ in range(CONNECTIONS)]
        self.sent = 0

    def send(self, number):
        """So many more, at a pace."""
        for _ in range(number):
            self.sent += 1
            n, connection = self.sent, self.connections[self.sent % CONNECTIONS]
            if n % 3 == 0:
                connection.command("LIM.GCRA", f"late:gcra:{n}", 5, 1, INTERVAL_MS)
            elif n % 3 == 1:
                connection.command("SEM.ACQUIRE", f"late:sem:{n}", 5, LEASE_MS, "t")
            else:
                connection.command("SEM.ACQUIRE", f"late:sem:{n}", 5, LEASE_MS, "t", "FIFO")
            time.sleep(PACE_S)


def ran_at_us(behind):
    """When each call ran that wrote something there."""
    times = {}
    for key in behind.call("KEYS", "late:*"):
        if key.startswith(b"late:gcra:"):
            times[key] = int(behind.call("GET", key)) // 1000 - INTERVAL_MS * 1000
        else:
            times[key] = int(behind.call("ZSCORE", key, "t")) - LEASE_MS * 1000
    return times


def refused_late(behind):
    """How many scripts said there that they came too late."""
    text = behind.call("INFO", "errorstats").decode()
    return int(text.split("errorstat_RGUNAVAIL:count=")[1].split()[0]) if "errorstat_RGUNAVAIL" in text else 0


def now_us():
    """The clock of the backends, which run here."""
    return time.time_ns() // 1000


def play(first, gate, stand_still, go_on):
    """One round. (Calls sent, late ones that ran, late ones that were refused)"""
    calls = Calls(gate)
    witness = gate.connect()
    calls.send(CALLS // 5)
    stand_still()
    while calls.sent < CALLS or status(witness)["backend"] != "second":
        calls.send(20)
        assert calls.sent < 20 * CALLS, "the backend is not left"
    resumed_us = now_us()
    go_on()
    wait_until(first.answers, 20, what="the first to answer")
    with first.connect() as behind:
        wait_for_rest(behind)
        times, refused = ran_at_us(behind), refused_late(behind)
    late = sorted(key for key, at_us in times.items() if at_us >= resumed_us)
    assert times, "nothing ran before"
    assert not late, f"{len(late)} ran late, of {calls.sent} calls: {late[:5]}"
    for connection in calls.connections:
        connection.close()
    return calls.sent, len(late), refused


def wait_for_rest(behind):
    """Until the backend has heard all that was on its way: no script ran, and nobody new came, for a while."""
    seen = []

    def at_rest():
        text = behind.call("INFO", "stats").decode()
        seen.append(int(text.split("total_net_input_bytes:")[1].split()[0]) // 4096)
        return len(seen) > 100 and len(set(seen[-100:])) == 1
    wait_until(at_rest, 20, what="the backend to come to rest")


def start(first, second, start_respgate):
    """Respgate in front of both, not going back by itself."""
    env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": second.url(),
           "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
    gate = start_respgate(first, settings=SETTINGS, env=env)
    gate.wait_for_log("msg=selected")
    return gate


def told(how, results):
    """For the figures of a run."""
    sent, late, refused = (sum(column) for column in zip(*results))
    return f"{len(results)} times {how}, {sent} limiter calls: {late} late executions, {refused} refused as late"


def test_a_paused_backend_does_nothing_late(start_redis, start_respgate, figure):
    results = []
    for _ in range(ROUNDS):
        first = start_redis()
        gate = start(first, start_redis(), start_respgate)
        results.append(play(first, gate, first.pause, first.resume))
    figure(told("paused", results))
    assert all(refused > 0 for _, _, refused in results), results


def test_a_backend_that_was_cut_off_does_nothing_late(tmp_path, start_redis, start_respgate, figure):
    results = []
    for _ in range(ROUNDS):
        with Network() as network:
            first = DistantServer(tmp_path, network).start()
            try:
                gate = start(first, start_redis(), start_respgate)
                results.append(play(first, gate, lambda net=network: net.rule("drop"), network.rule))
                gate.stop()
            finally:
                first.kill()
    figure(told("cut off", results))
