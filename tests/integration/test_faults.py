"""Writes under faults: nothing runs twice, nothing that was acknowledged is missing, nothing runs that was denied.

Every write has a key of its own, so the servers tell how often it ran (ledger.py). Both servers keep every write on
disk before they answer, so a killed one comes back with all it acknowledged. FAULTS_ROUNDS=200 makes a long run of it.
"""

import os
import random
import signal
import subprocess
import time

import pytest

from failover import P500, Cut
from harness import RedisServer, Respgate, wait_until
from ledger import Audit, Load
from test_switch import status

ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "12"))
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


class DurableServer(RedisServer):
    """A redis-server that has on disk what it acknowledged."""

    def config_lines(self):
        """appendonly comes from the settings, so the base's own line is left out."""
        return (line for line in super().config_lines() if line != "appendonly no")


def kill(server):
    """The process is gone, and comes back with its data."""
    server.kill()
    return server.start


def stop(server):
    """The process does not run for a while; what is in its sockets it does later."""
    server.pause()
    return server.resume


def drop(server):
    """Packets vanish both ways."""
    cut = Cut(server.port)
    cut.__enter__()
    return lambda: cut.__exit__()


def reset(server):
    """Every connection of the server is destroyed, and it stays up."""
    subprocess.run(["ss", "-K", "dst", "127.0.0.1", "dport", "=", str(server.port)], check=True, capture_output=True)
    return lambda: None


FAULTS = [kill, stop, drop, reset]


def in_use(gate):
    """The backend in use, by respgate's own word."""
    with gate.connect() as connection:
        return status(connection)["backend"]


@pytest.fixture
def servers(tmp_path):
    """Two durable servers."""
    pair = []
    for name in ("first", "second"):
        directory = tmp_path / name
        directory.mkdir()
        pair.append(DurableServer(directory, config=DURABLE).start())
    yield pair
    for server in pair:
        server.resume()
        server.kill()


@pytest.mark.figures
def test_nothing_runs_twice_and_nothing_acknowledged_is_lost(servers, tmp_path, figure):
    rng = random.Random(7)
    env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": servers[1].url(),
           "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
    gate = Respgate(tmp_path, servers[0].url(), settings=P500, env=env).start()
    gate.wait_for_log("msg=selected")
    load = Load(gate.port, tmp_path, connections=8, seconds=30 + 2 * ROUNDS)
    size = 0
    for number in range(ROUNDS):
        if number % 3:  # else whichever is in use by now
            wait_until(lambda: in_use(gate) == "default", 20, what="the first to be in use again")
        server = servers[0] if in_use(gate) == "default" else servers[1]
        size = load.path.stat().st_size
        wait_until(lambda: load.path.stat().st_size > size + 4096 * rng.randrange(1, 10), 20, what="the load to go on")
        size = load.path.stat().st_size
        repair = FAULTS[number % len(FAULTS)](server)
        try:
            wait_until(lambda: load.path.stat().st_size > size + 80000, 20, what="the load to go on despite the fault")
        finally:
            repair()
        size = load.path.stat().st_size
    load.stop()
    gate.stop()
    for server in servers:
        wait_until(server.answers, what="the servers to answer")
    audit = Audit(load, servers)
    figure(f"unique writes under {ROUNDS} faults: {len(load.requests)} sent, {load.count('ok')} acknowledged, "
           f"{load.count('unknown')} unknown, {load.count('unavailable')} unavailable, {load.count('lost')} without a "
           f"reply; {len(audit.twice)} ran twice, {len(audit.missing)} acknowledged and missing, "
           f"{len(audit.denied_but_ran)} denied and run")
    assert load.count("ok") > 1000 and load.count("unknown") > 0
    assert not audit.twice and not audit.missing and not audit.denied_but_ran
    assert not load.count("error", "state")
    gate.finish()


@pytest.mark.figures
def test_a_hundred_reloads_under_load_harm_nobody(servers, tmp_path, figure):
    path = tmp_path / "gate.ini"
    good = [f"[backend a]\nurl = {servers[0].url()}\n[fallback]\nqueue_timeout = {seconds}s\n" for seconds in (1, 2)]
    path.write_text(good[0])
    gate = Respgate(tmp_path, "", env={"RESPGATE_CONFIG": str(path)}).start()
    gate.wait_for_log("msg=selected")
    load = Load(gate.port, tmp_path, connections=8, seconds=60)
    bad = ["[backend a]\nurl = http://x\n", "[nowhere]\n", "garbage", "[backend a]\nurl = redis://127.0.0.1:1/x\n"]
    for number in range(100):
        size = load.path.stat().st_size
        path.write_text(bad[number // 2 % 4] if number % 2 else good[number // 2 % 2])
        gate.signal(signal.SIGHUP)
        wait_until(lambda: load.path.stat().st_size > size + 4096, what="the load to go on")
    path.write_text(good[0].replace("1s", "7s"))
    gate.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in gate.log(), what="a reload")
    load.stop()
    errors = [request for request in load.requests if request.outcome != "ok"]
    figure(f"100 reloads under load, half of them broken: {len(load.requests)} requests, {len(errors)} errors")
    assert not errors and not load.refused
    with servers[0].connect() as connection:
        assert connection.call("DBSIZE") >= load.count("ok")
    gate.finish()


@pytest.mark.figures
def test_a_slow_primary_is_still_the_first_choice_at_start(servers, tmp_path, figure):
    """A connection to a paused process is made by the kernel; its answers come when it runs again."""
    rng = random.Random(11)
    right = 0
    rounds = ROUNDS
    for _ in range(rounds):
        env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": servers[1].url(),
               "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
        servers[0].pause()
        gate = Respgate(tmp_path, servers[0].url(), env=env).start()
        wait_until(lambda gate=gate: 'backend up" backend=second' in gate.log(), what="the second to be known")
        late_ms = rng.randrange(300)
        wait_until(lambda until=time_ms() + late_ms: time_ms() >= until, what="the first to be late")
        servers[0].resume()
        right += "backend=default" in gate.wait_for_log("msg=selected")
        gate.finish()
    figure(f"cold start with the primary 0 to 300 ms behind the fallback: the primary chosen {right} of {rounds} times")
    assert right == rounds


def time_ms():
    """The monotonic clock."""
    return time.monotonic() * 1000
