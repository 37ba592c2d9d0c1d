"""Trouble of the network between respgate and a primary that is well: packets lost, connections reset, answers late.

Each test says whether that is a reason to leave the primary, and eight clients that write all the time say what it cost
them. Packets are lost in a network namespace (network.py), the rest is done by a proxy in between (faultproxy.py).
"""

import os
import subprocess
import time

import pytest

from failover import CLIENTS, INTERVAL_MS, P500
from faultproxy import FaultProxy
from harness import wait_until
from ledger import Audit, Load
from network import DistantServer, Network
from test_switch import status

pytestmark = pytest.mark.figures
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "8"))
LOSS_SECONDS = float(os.environ.get("LOSS_SECONDS", "10"))


class Road:
    """A primary at some URL, a fallback on this machine, respgate in front of them, and clients that write."""

    def __init__(self, directory, start_redis, start_respgate, url, settings=None):
        self.directory = directory
        self.fallback = start_redis()
        env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": self.fallback.url(),
               "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
        self.gate = start_respgate(url, settings=P500 if settings is None else settings, env=env)
        self.gate.wait_for_log("msg=selected")
        self.witness = self.gate.connect()
        assert self.told()["backend"] == "default"
        self.load = Load(self.gate.port, directory, CLIENTS, seconds=LOSS_SECONDS + 60 + 3 * ROUNDS)
        self.go_on()

    def told(self):
        """RESPGATE STATUS."""
        return status(self.witness)

    def go_on(self, requests=200):
        """Until the clients had so many more answers."""
        size = self.load.path.stat().st_size
        wait_until(lambda: self.load.path.stat().st_size > size + 40 * requests, 20, what="the load to go on")

    def go_on_for(self, seconds):
        """Under load for so long: the time in which something could happen, but must not."""
        until = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > until, seconds + 1, what="the time to pass")
        self.go_on()

    def wait_for(self, backend):
        """Until that backend is in use."""
        wait_until(lambda: self.told()["backend"] == backend, 20, what=f"{backend} to be in use")

    def end(self):
        """The load, with the requests of its clients."""
        return self.load.stop()

    def check_loyal(self):
        """It never left the primary nor took it for down."""
        assert self.told()["epoch"] == "1", self.gate.log()[-3000:]
        assert "backend down" not in self.gate.log()


@pytest.fixture
def far(tmp_path):
    """A running DistantServer in a network of its own."""
    with Network() as network:
        server = DistantServer(tmp_path, network).start()
        yield server
        server.resume()
        server.kill()


@pytest.fixture
def road(tmp_path, start_redis, start_respgate):
    """Factory: road(url, settings)."""
    made = []

    def build(url, settings=None):
        made.append(Road(tmp_path, start_redis, start_respgate, url, settings))
        return made[-1]

    yield build
    for each in made:
        each.load.child.kill()


@pytest.fixture
def near(start_redis):
    """A FaultProxy in front of a server on this machine."""
    with FaultProxy(start_redis().port) as proxy:
        yield proxy


# ---- packets ----

def established(server):
    """Connections of this machine to that server."""
    lines = subprocess.run(["ss", "-tnH", "state", "established", "dst", server.network.there], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return len(lines)


def test_when_only_new_connections_are_lost_nobody_moves(far, road):
    way = road(far.url())
    far.network.rule(f"tcp dport {far.port} tcp flags & (syn | ack) == syn drop")
    way.go_on_for(4 * INTERVAL_MS / 1000)
    way.check_loyal()
    load = way.end()
    assert load.count("ok") == len(load.requests)


def test_a_firewall_that_resets_is_a_reason_to_leave(far, road, figure):
    way = road(far.url())
    begun = time.monotonic()
    far.network.rule(f"tcp dport {far.port} reject with tcp reset")
    way.wait_for("second")
    taken_ms = (time.monotonic() - begun) * 1000
    way.go_on()
    assert "cause=refused" in way.gate.wait_for_log("backend down")
    far.network.rule()
    way.wait_for("default")
    way.go_on()
    load = way.end()
    figure(f"firewall that resets: left after {taken_ms:.0f} ms; {load.count('unknown')} unknown of {CLIENTS} in "
           "flight")
    assert load.count("unknown") <= CLIENTS and load.count("ok", "unknown") == len(load.requests)
    assert taken_ms <= 1.2 * INTERVAL_MS


def test_of_a_primary_that_is_cut_off_no_old_connection_is_left(far, road, figure):
    way = road(far.url())
    assert established(far) >= 2  # a lane and the checks
    far.network.rule("drop")
    begun = time.monotonic()
    way.wait_for("second")
    wait_until(lambda: established(far) == 0, 2 * INTERVAL_MS / 1000, what="the old connections to be closed")
    figure(f"primary cut off: all connections to it closed after {(time.monotonic() - begun) * 1000:.0f} ms (bar "
           f"{2 * INTERVAL_MS})")
    assert time.monotonic() - begun <= 2 * INTERVAL_MS / 1000
    far.network.rule()
    way.wait_for("default")
    load = way.end()
    assert load.count("unknown") <= CLIENTS and load.count("ok", "unknown") == len(load.requests)


def test_five_percent_of_packets_lost_are_no_reason_to_leave(far, road, figure):
    way = road(far.url(), settings={})
    far.network.rule("numgen random mod 100 < 5 drop")
    way.go_on_for(LOSS_SECONDS)
    assert way.told()["epoch"] == "1", way.gate.log()[-3000:]
    far.network.rule()
    load = way.end()
    slowest = max(request.done_us - request.sent_us for request in load.requests) / 1000
    figure(f"5% of packets lost for {LOSS_SECONDS:.0f} s: 0 switches, {len(load.requests)} requests, slowest "
           f"{slowest:.0f} ms, {load.count('unknown')} unknown")
    assert load.count("ok") == len(load.requests)


# ---- connections ----

def test_single_connections_reset_are_not_the_node(near, road, figure):
    way = road(near.url())
    for _ in range(30):
        near.say("reset")
        way.go_on()
    way.check_loyal()
    load = way.end()
    figure(f"every connection to the primary reset 30 times: 0 switches, {load.count('unknown')} unknown of "
           f"{len(load.requests)}")
    assert load.count("unknown") <= 30 * CLIENTS and load.count("ok", "unknown") == len(load.requests)


def test_replies_that_end_are_a_lost_connection_not_a_lost_node(near, road):
    way = road(near.url())
    for _ in range(10):
        near.say("half-close")
        way.go_on()
    way.check_loyal()
    load = way.end()
    assert 0 < load.count("unknown") <= 10 * CLIENTS and load.count("ok", "unknown") == len(load.requests)


def test_refused_connects_are_a_reason_once_a_connection_is_needed(near, road):
    way = road(near.url())
    near.say("refuse")
    way.go_on_for(3 * INTERVAL_MS / 1000)
    way.check_loyal()
    near.say("reset")
    way.wait_for("second")
    assert "cause=refused" in way.gate.wait_for_log("backend down")
    near.say("pass")
    way.wait_for("default")
    load = way.end()
    assert load.count("unknown") <= CLIENTS and load.count("ok", "unknown") == len(load.requests)


# ---- time ----

def test_late_answers_are_a_reason_beyond_the_limit_only(near, road):
    """The limit of P500 for each answer to a check is 100 ms; a check asks twice, by PING and about the role."""
    way = road(near.url())
    for late_ms in (20, 40, 60, 80):
        near.say(f"latency {late_ms}")
        way.go_on_for(2 * INTERVAL_MS / 1000)
    way.check_loyal()
    near.say("latency 250")
    way.wait_for("second")
    assert "cause=timeout" in way.gate.wait_for_log("backend down")
    way.go_on()
    assert way.told()["epoch"] == "2"
    near.say("pass")
    way.wait_for("default")
    load = way.end()
    assert load.count("unknown") <= CLIENTS and load.count("ok", "unknown") == len(load.requests)


def test_a_distant_backend_stays_up_with_the_defaults(near, start_respgate):
    """One round trip is within health.timeout, two are not: that must not make it go up and down for ever."""
    near.say("latency 260")
    gate = start_respgate(near.url())
    gate.wait_for_log("msg=selected")
    with gate.connect() as client:
        for _ in range(20):
            assert client.call("INCR", "n")
    assert "backend down" not in gate.log() and "suspect" not in gate.log(), gate.log()[-3000:]


def test_a_primary_whose_every_answer_is_late_is_still_the_first_choice_at_start(near, start_redis, start_respgate,
                                                                                 figure):
    fallback = start_redis()
    env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": fallback.url(),
           "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
    right = 0
    for number in range(ROUNDS):
        near.say(f"latency {300 * number // max(ROUNDS - 1, 1)}")
        gate = start_respgate(near.url(), env=env)
        right += "backend=default" in gate.wait_for_log("msg=selected")
        gate.stop()
    figure(f"cold start with each answer of the primary 0 to 300 ms late: the primary chosen {right} of {ROUNDS} times")
    assert right == ROUNDS


# ---- the ledger ----

def audit(way, primary, figure, what):
    """Nothing ran twice, nothing acknowledged is missing, nothing that was denied ran, nobody heard anything else."""
    load = way.end()
    found = Audit(load, [primary, way.fallback])
    figure(f"unique writes, {ROUNDS} times {what}: {len(load.requests)} sent, {load.count('unknown')} unknown, "
           f"{load.count('unavailable')} unavailable; {len(found.twice)} ran twice, {len(found.missing)} acknowledged "
           f"and missing, {len(found.denied_but_ran)} denied and run")
    assert load.count("unknown") > 0 and not load.refused
    assert not found.twice and not found.missing and not found.denied_but_ran
    assert load.count("ok", "unknown", "unavailable") == len(load.requests)


def test_writes_are_exact_though_packets_are_lost(far, road, figure):
    """Replies that are lost are the worst case: the write was done, and nobody knows."""
    faults = [("drop", "input"), ("drop", "output"), (f"tcp dport {far.port} reject with tcp reset", "input")]
    way = road(far.url())
    for number in range(ROUNDS):
        rule, hook = faults[number % len(faults)]
        far.network.rule(rule, hook=hook)
        way.wait_for("second")
        way.go_on(100 * (1 + number % 5))
        far.network.rule()
        way.wait_for("default")
        way.go_on(100 * (1 + number % 7))
    audit(way, far, figure, "packets, replies lost or a firewall that resets")


def test_writes_are_exact_though_connections_fail(start_redis, road, figure):
    """Of these only a proxy that stands still is a reason to go to the fallback."""
    primary = start_redis()
    with FaultProxy(primary.port) as near:
        way = road(near.url())
        for number in range(ROUNDS):
            fault = ("reset", "half-close", "slice 3", "latency 2 20", "drop")[number % 5]
            near.say(fault)
            if fault == "drop":
                way.wait_for("second")
            way.go_on(20 * (1 + number % 7))
            if number % 2:
                near.say("reset")
            near.say("pass")
            way.wait_for("default")
            way.go_on(100)
        audit(way, primary, figure, "connections reset, half closed, sliced, delayed or standing still")
