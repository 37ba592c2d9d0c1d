"""The systemd unit: systemd finds no mistake and little to attack in it, and nothing that respgate does is denied."""

import os
import re
import signal
import subprocess

import pytest

from harness import ROOT, free_port, respgate_binary, respgate_env, wait_until
from service_manager import ServiceManager
from systemd_unit import Service, running, settings
from wire import RespConnection

UNIT = ROOT / "deploy" / "systemd" / "respgate.service"


def analyze(*arguments):
    """systemd-analyze, which needs no running systemd for this."""
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=30, check=False,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})


@pytest.fixture
def unit(tmp_path):
    """The unit with the binary under test in it, which is not installed."""
    path = tmp_path / "respgate.service"
    path.write_text(UNIT.read_text().replace("/usr/bin/respgate", respgate_binary()))
    return path


def test_systemd_finds_no_mistake(unit):
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_sees_little_that_could_be_attacked(unit, figure):
    done = analyze("security", "--offline=yes", "--threshold=12", str(unit))
    level = re.search(r"Overall exposure level for \S+: (\S+)", done.stdout)
    assert level, done.stdout + done.stderr
    figure(f"systemd exposure level {level[1]} (at most 1.2)")
    assert done.returncode == 0


def allowed_calls():
    """The system calls of the unit's filter: sets with an @ by their members, less those behind a ~."""
    sets, current = {}, None
    for line in analyze("syscall-filter").stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = sets[word] = set()
        elif current is not None and word and not word.startswith("#"):
            current.add(word)

    def expand(word):
        return set().union(*map(expand, sets[word])) if word.startswith("@") else {word}

    allowed = expand("@default")
    for value in settings(UNIT, "SystemCallFilter"):
        for word in value.removeprefix("~").split():
            allowed = allowed - expand(word) if value.startswith("~") else allowed | expand(word)
    return allowed


def calls_in(trace):
    """Names of the system calls in what strace wrote."""
    return set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]", trace.read_text(), re.MULTILINE))


def uses_everything(env, port, unix_socket):
    """Clients over TCP and a Unix socket, and the stats port."""
    for address in (port, unix_socket):
        with RespConnection(address) as client:
            assert client.call("SET", "k", "v") == "OK"
            assert client.call("BLPOP", "empty", "0.01") is None
    stats = subprocess.run([respgate_binary(), "stats", "--prometheus"], env=respgate_env(env), check=False,
                           capture_output=True, text=True, timeout=10)
    assert "respgate_ready 1" in stats.stdout, stats.stderr


def test_no_system_call_is_forbidden(tmp_path, redis_server):
    assert {"read", "futex"} <= allowed_calls() and "reboot" not in allowed_calls()
    port, unix_socket, trace = free_port(), tmp_path / "gate.sock", tmp_path / "trace"
    env = {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{port}", "RESPGATE_LISTEN_UNIX_SOCKET": str(unix_socket),
           "RESPGATE_BACKEND_URL": redis_server.url(), "RESPGATE_BACKEND_OTHER_URL": "rediss://localhost:1",
           "RESPGATE_STATS_ADDRESS": f"127.0.0.1:{free_port()}"}
    argv = ["strace", "-f", "-qq", "-o", str(trace), respgate_binary(), "run"]
    with ServiceManager(tmp_path, watchdog_us=100_000) as manager, running(argv, {**env, **manager.env}) as tracer:
        manager.wait_for("READY")
        pid = int(open(f"/proc/{tracer.pid}/task/{tracer.pid}/children", encoding="ascii").read())
        try:
            uses_everything(env, port, unix_socket)
            os.kill(pid, signal.SIGHUP)
            manager.wait_for("RELOADING")
            wait_until(manager.take, what="a sign of life")
        finally:
            os.kill(pid, signal.SIGTERM)
        assert tracer.wait(10) == 0
    assert len(calls_in(trace)) > 30
    assert calls_in(trace) - allowed_calls() == set()


def test_its_commands_start_reload_and_end_it(tmp_path, redis_server):
    port = free_port()
    env = {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{port}", "RESPGATE_BACKEND_URL": redis_server.url(),
           "RESPGATE_STATS_ADDRESS": ""}
    with ServiceManager(tmp_path) as manager, Service(UNIT, respgate_binary(), manager, env) as service:
        with RespConnection(port) as client:
            assert client.call("PING") == "PONG"
        assert service.reload() == f"backend default because first, {redis_server.url()}"
        assert service.stop() == 0
