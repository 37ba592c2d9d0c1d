"""Semaphores under load: never too many holders, whoever is killed and whatever replies are lost.

Sixty-four processes on a semaphore of two, see tests/tools/semload. SEMAPHORE_GRANTS=100000 makes a long run of each.
"""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from certs import certificates
from faultproxy import FaultProxy
from harness import ROOT, fields, respgate_binary
from upstash import UpstashStandIn

GRANTS = int(os.environ.get("SEMAPHORE_GRANTS", "1000"))
SEED = 20
MODES = ["plain", "wait", "fifo+wait", "slots", "fifo+wait+slots"]


def semload_binary():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "tools" / "semload"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("semload is not built: meson compile -C build; tests do not skip")


def semload(port, mode, grants=GRANTS):
    """Its counts; fails with what it found wrong."""
    done = subprocess.run([semload_binary(), "127.0.0.1", str(port), mode, str(grants), str(SEED)], check=False,
                          capture_output=True, text=True, timeout=60 + grants / 20)
    counts = {name: int(value) for name, value in fields(done.stdout).items()}
    assert done.returncode == 0 and counts["wrong"] == 0, f"{counts}\n{done.stderr[:2000]}"
    assert counts["grants"] >= grants and counts["most"] == 2 and counts["killed"] > 0 and counts["lost"] > 0
    return counts


def told(mode, counts):
    """For the figures of a run."""
    return f"64 processes on a semaphore of 2 ({mode}): " + ", ".join(f"{n} {name}" for name, n in counts.items())


@pytest.mark.figures
@pytest.mark.parametrize("mode", MODES)
def test_never_more_than_two_holders(respgate, figure, mode):
    figure(told(mode, semload(respgate.port, mode)))


@pytest.mark.figures
@pytest.mark.parametrize("mode", ["plain", "fifo+wait+slots"])
def test_never_more_than_two_holders_on_a_hosted_one(tmp_path, start_respgate, figure, mode):
    server = UpstashStandIn(tmp_path).start()
    try:
        gate = start_respgate(server, env={"RESPGATE_TLS_CA_FILE": certificates().ca})
        figure(told(mode + ", hosted", semload(gate.port, mode, GRANTS // 2)))
    finally:
        server.kill()


@pytest.mark.figures
@pytest.mark.parametrize("mode", ["plain", "wait+slots"])
def test_never_more_than_two_holders_though_the_backends_replies_are_lost(
        redis_server, start_respgate, figure, mode):
    """Each reset takes with it what was asked and what was answered; whoever asks again has the same token."""
    with FaultProxy(redis_server.port) as proxy:
        gate = start_respgate(proxy.url())
        proxy.say("latency 1 1")
        stop = threading.Event()

        def reset():
            while not stop.wait(0.03):
                proxy.say("reset")

        resetting = threading.Thread(target=reset)
        resetting.start()
        try:
            counts = semload(gate.port, mode, GRANTS // 4)
        finally:
            stop.set()
            resetting.join()
        figure(told(mode + ", resets", counts))
        assert proxy.counts()["resets"] > 0 and counts["unavailable"] > 0


def test_a_client_that_asks_again_keeps_what_its_lost_connection_was_granted(redis_server, respgate):
    """Both requests lie in the backend when it goes on; the first one's client is gone, and the second is the holder."""
    first, second = respgate.connect(), respgate.connect()
    assert first.call("SEM.ACQUIRE", "k", 1, 30000, "warm")[0] == 1 and first.call("SEM.RELEASE", "k", "warm") == 1
    redis_server.pause()
    first.command("SEM.ACQUIRE", "k", 1, 30000, "t", "WAIT", 20000)
    assert first.is_silent(0.2)
    first.close()
    second.command("SEM.ACQUIRE", "k", 1, 30000, "t", "WAIT", 20000)
    assert second.is_silent(0.2)
    redis_server.resume()
    assert second.read_value()[0] == 1
    assert second.call("SEM.CHECK", "k", "t") > 0


def test_a_call_that_came_before_the_connection_was_open_is_answered(redis_server, start_respgate):
    """With a backend this far away the call waits for the connection longer than any clock here ticks."""
    with FaultProxy(redis_server.port) as proxy:
        proxy.say("latency 40")
        gate = start_respgate(proxy.url())
        assert gate.connect(3).call("SEM.ACQUIRE", "k", 1, 30000, "t")[0] == 1
