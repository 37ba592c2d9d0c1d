"""The image: what is in it, as whom it runs, and how it ends."""

import io
import json
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from engine import HARDENED, docker, run, wait_until
from wire import RespConnection

SIZE_MAX = 10_000_000
NOBODY = "65532:65532"
MADE_BY_THE_ENGINE = {".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}


@pytest.fixture
def gate(start, respgate_image, redis_image):
    """respgate without any right that an engine can take away, configured by its environment alone."""
    start(redis_image, "--network-alias", "redis")
    gate = start(respgate_image, *HARDENED, "--publish", "127.0.0.1::6380",
                 "--env", "RESPGATE_LISTEN_ADDRESS=0.0.0.0:6380",
                 "--env", "RESPGATE_BACKEND_DOCKER_URL=redis://redis:6379/0")
    assert gate.execute("respgate", "wait", "--max", "10s")[0] == 0, gate.log()
    return gate


def image_config(image):
    """What the image says of itself: size and configuration."""
    found = json.loads(docker("image", "inspect", image))[0]
    return found["Size"], found["Config"]


def status_of(pid):
    """/proc/PID/status as a dict."""
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def files_in(container):
    """Paths of all regular files and links in a container's root."""
    archive = subprocess.run(["docker", "export", container], stdout=subprocess.PIPE, timeout=60, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name for member in tar if not member.isdir()}


def test_it_is_small_and_says_what_it_is(respgate_image, figure):
    size, config = image_config(respgate_image)
    version = docker("run", "--rm", respgate_image, "version").split()[1]
    figure(f"image of {size / 1e6:.1f} MB (at most {SIZE_MAX / 1e6:.0f})")
    assert size < SIZE_MAX
    assert config["User"] == NOBODY
    assert set(config["ExposedPorts"]) == {"6380/tcp", "9380/tcp"}
    assert config["Healthcheck"]["Test"] == ["CMD", "respgate", "health"]
    assert config["Labels"]["org.opencontainers.image.title"] == "respgate"
    assert config["Labels"]["org.opencontainers.image.version"] == version


def test_nothing_else_is_in_it(gate):
    assert files_in(gate.name) - MADE_BY_THE_ENGINE == {"usr/bin/respgate", "etc/ssl/certs/ca-certificates.crt"}
    code, output = gate.execute("sh", "-c", "true")
    assert code != 0 and "executable file not found" in output


def test_it_serves_as_nobody_without_a_right(gate):
    with RespConnection(gate.address(6380)) as connection:
        assert connection.call("SET", "k", "v") == "OK"
        assert connection.call("GET", "k") == b"v"
    status = status_of(gate.state()["Pid"])
    assert status["Uid"].split() == ["65532"] * 4
    assert status["CapEff"] == status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1"


def test_as_the_first_process_it_drains_at_once_when_idle(gate, figure):
    with RespConnection(gate.address(6380)) as connection:
        assert connection.call("PING") == "PONG"
        begin = time.monotonic()
        docker("kill", "--signal", "TERM", gate.name)
        wait_until(lambda: not gate.state()["Running"], what="the end")
        took = time.monotonic() - begin
    figure(f"the image's process ends {took * 1000:.0f} ms after SIGTERM (at most 1000)")
    assert took < 1
    assert gate.state()["ExitCode"] == 0
    assert "msg=ledger accepted=" in gate.lines()[-1]


def test_it_answers_probes_from_within(gate):
    gate.wait_for_health("healthy")
    assert gate.execute("respgate", "health") == (0, "ready, backend docker\n")
    assert gate.execute("respgate", "wait", "--for", "backend=docker", "--max", "5s")[0] == 0
    code, output = gate.execute("respgate", "wait", "--for", "backend=other", "--max", "1ms")
    assert code == 75 and "the backend in use is docker" in output


def test_without_a_backend_it_says_what_is_missing(respgate_image):
    done = run("docker", "run", "--rm", respgate_image, check=False)
    assert done.returncode == 78
    assert "RESPGATE_BACKEND_URL" in done.stdout


def test_it_knows_the_public_authorities(gate):
    environment = dict(entry.split("=", 1) for entry in gate.inspect()["Config"]["Env"])
    bundle = docker("cp", f"{gate.name}:{environment['SSL_CERT_FILE']}", "-")
    assert bundle.count("-----BEGIN CERTIFICATE-----") > 100


def test_it_trusts_nobody_else(respgate_image, network, start_hosted):
    start_hosted()
    done = run("docker", "run", "--rm", "--network", network, "--env", "RESPGATE_BACKEND_URL=rediss://hosted:6379",
               respgate_image, "check", "--connect", check=False)
    assert done.returncode == 3, done.stdout
    assert "FAILED at tls: " in done.stdout and "no CA certificates" not in done.stdout
