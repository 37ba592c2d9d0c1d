"""What a service manager (Type=notify) is told: ready, reloading, stopping, which backend and why, and signs of life."""

import signal
import sys
import time

import pytest

from harness import ROOT, wait_until
from service_manager import ServiceManager
from test_switch import FAST

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply  # noqa: E402


def monotonic_us():
    """The clock of MONOTONIC_USEC."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """Once with a socket of each kind."""
    with ServiceManager(tmp_path, abstract=request.param == "abstract") as one:
        yield one


def test_the_manager_sees_start_reload_and_end(manager, redis_server, start_respgate):
    gate = start_respgate(redis_server, env=manager.env, settings={"listen.drain_timeout": "7s"})
    first = manager.wait_for("STATUS")
    assert first == {"STATUS": "the backends have no verdict yet"}
    ready = manager.wait_for("READY", "1")
    assert ready["STATUS"] == f"backend default because first, {redis_server.url()}"

    before_us = monotonic_us()
    gate.signal(signal.SIGHUP)
    reloading = manager.wait_for("RELOADING", "1")
    assert before_us <= int(reloading["MONOTONIC_USEC"]) <= monotonic_us()
    assert "READY" not in reloading
    assert manager.wait_for("READY", "1")["STATUS"] == ready["STATUS"]

    gate.signal(signal.SIGTERM)
    stopping = manager.wait_for("STOPPING", "1")
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 7_000_000 and stopping["STATUS"] == "draining"
    assert gate.child.wait(10) == 0
    manager.take()
    assert manager.messages == []


def test_a_refused_reload_is_told_with_its_reason(tmp_path, redis_server, start_respgate):
    path = tmp_path / "gate.ini"
    path.write_text("")
    with ServiceManager(tmp_path) as manager:
        gate = start_respgate(redis_server, env={**manager.env, "RESPGATE_CONFIG": str(path)})
        manager.wait_for("READY")
        path.write_text("[listen]\nspeed = 9\nmax_args = x\n")
        gate.signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        status = manager.wait_for("READY", "1")["STATUS"]
        assert status.startswith("backend default because first, ")
        assert f"; the last reload was refused: {path}:2: listen.speed" in status
        path.write_text("")
        gate.signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        assert "refused" not in manager.wait_for("READY", "1")["STATUS"]


def test_the_status_follows_a_failover_and_none_is_no_reason_not_to_be_ready(tmp_path, start_redis, start_respgate):
    first, second = start_redis(), start_redis()
    settings = {**FAST, "backend.one.url": first.url(), "backend.two.url": second.url(),
                "backend.one.priority": 1, "backend.two.priority": 2}
    with ServiceManager(tmp_path) as manager:
        start_respgate("", env=manager.env, settings=settings)
        manager.wait_for("STATUS", f"backend one because first, {first.url()}")
        first.kill()
        status = manager.wait_for("STATUS", f"backend two because failover, {second.url()}")["STATUS"]
        assert "; one is down: " in status
        second.kill()
        none = manager.wait_for("STATUS", "no backend because all_down; not ready: all_down; one is down: ")
        assert none["READY"] == "1"


def test_it_is_ready_when_there_is_no_backend_at_its_start(tmp_path, start_respgate):
    with ServiceManager(tmp_path) as manager:
        start_respgate("redis://127.0.0.1:1/0", env=manager.env, settings=FAST)
        assert manager.wait_for("READY")["STATUS"].startswith("no backend because all_down; ")


def test_a_backends_words_stay_words(tmp_path, start_respgate):
    with FakeRedis() as fake, ServiceManager(tmp_path) as manager:
        fake.on("PING", reply(b"-LOADING \xff\x01 " + b"x" * 300 + b"\r\n"))
        settings = {f"backend.b{i}.url": fake.url(db=i) for i in range(12)}
        start_respgate("", env=manager.env, settings={**FAST, **settings})
        status = manager.wait_for("STATUS", "b2 is down")["STATUS"]
        assert "LOADING ?? xxx" in status and status.isascii() and len(status) <= 1000


def test_signs_of_life_come_from_the_main_loop(tmp_path, redis_server, start_respgate):
    with ServiceManager(tmp_path, watchdog_us=40_000) as manager:
        start_respgate(redis_server, env=manager.env)
        manager.wait_for("READY")
        start_us, beats = monotonic_us(), 0
        while beats < 10:
            beats += wait_until(manager.take, what="a sign of life")
        assert monotonic_us() - start_us >= 8 * 20_000, "more often than each half of the time"


@pytest.mark.parametrize("env", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "2000x"}, {"WATCHDOG_USEC": "-2000"}])
def test_no_signs_of_life_when_others_or_none_are_meant(tmp_path, redis_server, start_respgate, env):
    with ServiceManager(tmp_path, watchdog_us=2000) as manager:
        gate = start_respgate(redis_server, env={**manager.env, **env})
        manager.wait_for("READY")
        for _ in range(5):
            gate.signal(signal.SIGHUP)
            manager.wait_for("RELOADING")
            manager.wait_for("READY")
        gate.stop()
        manager.take()
        assert manager.beats == 0


def test_a_manager_that_does_not_read_holds_up_nobody_and_is_told_in_the_end(tmp_path, redis_server, start_respgate):
    with ServiceManager(tmp_path, watchdog_us=2000) as manager:
        gate = start_respgate(redis_server, env=manager.env)
        manager.wait_for("READY")
        manager.fill()
        client = gate.connect()
        for i in range(3):
            gate.signal(signal.SIGHUP)
            wait_until(lambda: gate.log().count("configuration reloaded") > i, what="a reload")
            assert client.call("PING") == "PONG"
        manager.take()
        assert not any("RELOADING" in message for message in manager.messages), "there was room, so this shows nothing"
        assert manager.wait_for("READY", "1")["STATUS"].startswith("backend default because first")
        wait_until(lambda: manager.take() > 0, what="signs of life again")


@pytest.mark.parametrize("name", ["notify.sock", "@", "vsock:2:1", "/" + "x" * 200, "/nobody/is/there"])
def test_an_address_that_cannot_be_used_is_told_and_harms_nothing(redis_server, start_respgate, name):
    gate = start_respgate(redis_server, env={"NOTIFY_SOCKET": name})
    assert gate.connect().call("PING") == "PONG"
    if name != "/nobody/is/there":  # a manager that is not there may come
        assert "level=warn" in gate.wait_for_log("service manager not told")
