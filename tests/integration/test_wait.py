"""respgate wait and respgate health: what a script or a probe learns of a running respgate."""

import subprocess
import time

import pytest

from harness import Respgate, free_port, respgate_binary, respgate_env, run_respgate

FAST = {"health.interval": "200ms", "health.fast_interval": "50ms"}


def env_of(gate, **more):
    """The environment that gate was started with, as the probe of its container has it."""
    return {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{gate.port}", "RESPGATE_BACKEND_URL": gate.backend_url, **more}


def test_health_tells_ready_from_live(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings=FAST)
    gate.wait_for_log("msg=selected")
    done = run_respgate("health", env=env_of(gate))
    assert (done.returncode, done.stdout) == (0, "ready, backend default\n")
    redis_server.kill()
    gate.wait_for_log("backend=none")
    done = run_respgate("health", env=env_of(gate))
    assert done.returncode == 1 and "not ready: " in done.stderr
    done = run_respgate("health", "--live", env=env_of(gate))
    assert (done.returncode, done.stdout) == (0, "live, backend none\n")


def test_health_without_a_respgate_says_what_failed(tmp_path):
    gate = Respgate(tmp_path, "redis://127.0.0.1:1/0")
    for arguments in (("health",), ("health", "--live")):
        done = run_respgate(*arguments, env=env_of(gate))
        assert done.returncode == 1 and f"cannot connect to 127.0.0.1 port {gate.port}" in done.stderr


@pytest.mark.parametrize("settings", [{"listen.auth": "password", "listen.password": "secret-1"},
                                      {"listen.address": "", "listen.unix_socket": "{dir}/gate.sock"}],
                         ids=["password", "unix-socket"])
def test_health_finds_and_enters_any_listener(redis_server, start_respgate, tmp_path, settings):
    settings = {key: value.format(dir=tmp_path) for key, value in settings.items()}
    gate = Respgate(tmp_path, redis_server.url(), settings=settings)
    env = env_of(gate, **{f"RESPGATE_{key.replace('.', '_').upper()}": value for key, value in settings.items()})
    child = subprocess.Popen([respgate_binary(), "run"], env=respgate_env(env), stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    try:
        done = run_respgate("wait", "--max", "10s", env=env)
        assert done.returncode == 0 and done.stdout.startswith("ready after")
        done = run_respgate("health", env=env)
        assert (done.returncode, done.stdout) == (0, "ready, backend default\n")
        assert "secret-1" not in done.stdout + done.stderr
    finally:
        child.terminate()
        child.communicate(timeout=10)


def test_wait_returns_as_soon_as_it_is_ready(start_redis, start_respgate):
    late = start_redis()
    late.kill()
    gate = start_respgate(late, settings=FAST)
    child = subprocess.Popen([respgate_binary(), "wait", "--for", "backend=default", "--max", "20s"],
                             env=respgate_env(env_of(gate)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    begun = time.monotonic()
    while "not yet" not in child.stderr.readline():  # it says so once a second
        assert child.poll() is None
    assert time.monotonic() - begun < 5
    late.start()
    gate.wait_for_log("selected backend=default")
    assert child.wait(1) == 0
    assert child.stdout.read().startswith("backend=default after")
    child.stderr.close()
    child.stdout.close()


def test_wait_gives_up_with_the_reason_and_a_code_of_its_own(start_respgate):
    gate = start_respgate(f"redis://127.0.0.1:{free_port()}/0", settings=FAST)
    gate.wait_for_log("backend down")
    done = run_respgate("wait", "--max", "300ms", env=env_of(gate))
    assert done.returncode == 75
    assert done.stderr.startswith("gave up after 300 ms, not ready: ")
    done = run_respgate("wait", "--for", "live", "--max", "5s", env=env_of(gate))
    assert done.returncode == 0
    assert run_respgate("wait", "--for", "nothing", env=env_of(gate)).returncode == 64
    assert run_respgate("wait", "--max", "soon", env=env_of(gate)).returncode == 64
