"""Proves where respgate listens: ports that are taken, the Unix socket with its mode, its path and all its workers."""

import os
import stat
import time
from pathlib import Path

import pytest

from harness import Process, RespConnection, minimal_env, respgate_binary, respgate_env, run_respgate

WORKERS = [1, 2]


def fails_fast(expected, **settings):
    """Start a respgate that cannot listen; demand one error line and return how many ms it took."""
    start = time.monotonic()
    done = run_respgate("run", env=minimal_env(**settings))
    taken = (time.monotonic() - start) * 1000
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "level=error" in line]
    assert len(errors) == 1 and str(expected) in errors[0], done.stderr
    assert "listening" not in done.stderr
    return taken


def fails_on_port(port, workers=1):
    """The same for a port that is taken."""
    return fails_fast(port, RESPGATE_LISTEN_ADDRESS=f"127.0.0.1:{port}", RESPGATE_LISTEN_WORKERS=str(workers))


@pytest.mark.parametrize("workers", WORKERS)
def test_a_port_taken_by_another_program_is_one_line(redis_server, workers):
    fails_on_port(redis_server.port, workers)


@pytest.mark.parametrize("mine", WORKERS)
@pytest.mark.parametrize("others", WORKERS)
def test_a_port_taken_by_another_respgate_is_one_line(start_respgate, redis_server, mine, others):
    gate = start_respgate(redis_server, settings={"listen.workers": others})
    fails_on_port(gate.port, mine)


@pytest.mark.figures
def test_a_taken_port_is_told_within_100_ms(redis_server, figure):
    median = sorted(fails_on_port(redis_server.port) for _ in range(5))[2]
    figure(f"exit when the port is taken: {median:.0f} ms after start, median of 5 (at most 100)")
    assert median <= 100


def test_a_port_is_free_again_right_after_the_end(start_respgate, redis_server):
    first = start_respgate(redis_server)
    assert first.connect().call("PING") == "PONG"
    assert first.stop() == 0
    second = start_respgate(redis_server, port=first.port)
    assert second.connect().call("PING") == "PONG"


@pytest.mark.parametrize("mode", ["0600", "0666"])
def test_unix_socket_has_its_mode_serves_and_goes_with_its_process(start_respgate, redis_server, tmp_path, mode):
    path = tmp_path / "gate.sock"
    gate = start_respgate(redis_server, settings={"listen.unix_socket": path, "listen.unix_socket_mode": mode})
    gate.wait_for_log(f"address={path}")
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)
    with RespConnection(path) as client:
        assert client.call("SET", "k", "v") == "OK"
        assert client.call("GET", "k") == b"v"
    assert gate.stop() == 0
    assert not path.exists()


@pytest.mark.threads
@pytest.mark.parametrize("workers", WORKERS)
def test_every_worker_accepts_on_the_unix_socket(start_respgate, redis_server, tmp_path, workers):
    path = tmp_path / "gate.sock"
    gate = start_respgate(redis_server, settings={"listen.unix_socket": path, "listen.workers": workers})
    bound = [line.split() for line in Path("/proc/net/unix").read_text().splitlines() if line.endswith(f" {path}")]
    assert len(bound) == 1
    files = [os.readlink(file) for file in Path(f"/proc/{gate.pid}/fd").iterdir()]
    assert files.count(f"socket:[{bound[0][6]}]") == workers


def test_a_unix_socket_alone_is_enough(redis_server, tmp_path):
    path = tmp_path / "gate.sock"
    gate = Process(tmp_path)
    env = minimal_env(RESPGATE_LISTEN_ADDRESS="", RESPGATE_LISTEN_UNIX_SOCKET=str(path),
                      RESPGATE_BACKEND_URL=redis_server.url())
    gate.spawn([respgate_binary(), "run"], respgate_env(env))
    try:
        assert f"address={path}" in gate.wait_for_log("listening")
        with RespConnection(path) as client:
            assert client.call("SET", "k", "v") == "OK"
        assert gate.log().count("listening") == 1
        assert gate.stop() == 0
    finally:
        gate.kill()


def test_a_unix_socket_left_behind_is_taken_over(start_respgate, redis_server, tmp_path):
    path = tmp_path / "gate.sock"
    settings = {"listen.unix_socket": path}
    start_respgate(redis_server, settings=settings, expect_exit=None).kill()
    assert path.exists()
    start_respgate(redis_server, settings=settings)
    with RespConnection(path) as client:
        assert client.call("PING") == "PONG"


def test_a_unix_socket_in_use_is_left_alone(start_respgate, redis_server, tmp_path):
    path = tmp_path / "gate.sock"
    start_respgate(redis_server, settings={"listen.unix_socket": path})
    fails_fast(path, RESPGATE_LISTEN_UNIX_SOCKET=str(path))
    with RespConnection(path) as client:
        assert client.call("PING") == "PONG"


def test_a_file_in_the_way_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    fails_fast(path, RESPGATE_LISTEN_UNIX_SOCKET=str(path))
    assert path.read_text() == "data"


def test_a_failed_start_leaves_no_unix_socket(redis_server, tmp_path):
    path = tmp_path / "gate.sock"
    fails_fast(redis_server.port, RESPGATE_LISTEN_ADDRESS=f"127.0.0.1:{redis_server.port}",
               RESPGATE_LISTEN_UNIX_SOCKET=str(path))
    assert not path.exists()
