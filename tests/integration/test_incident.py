"""The day that made this program: a secret in the environment named a hosted Redis that nobody could reach, a local one
stood by, and nothing said which of the two was used. Each way it could happen again is one test."""

import time

import pytest

from harness import free_port, run_respgate
from test_switch import status

CLOUD = "rediss://default:the-secret-token@name.invalid:6379"


def first_second(gate):
    """What the log says within a second of the start, once something is selected."""
    begun = time.monotonic()
    gate.wait_for_log("msg=selected")
    assert time.monotonic() - begun < 1
    log = gate.log()
    assert "the-secret-token" not in log
    return log


def test_a_variable_that_nobody_named_is_not_used_and_listed(redis_server, start_respgate):
    gate = start_respgate(redis_server, env={"UPSTASH_REDIS_URL": CLOUD, "REDIS_URL": CLOUD, "KV_URL": CLOUD})
    log = first_second(gate)
    first = log.splitlines()[0]
    assert "msg=starting" in first and 'ignored_env="' in first
    assert {"UPSTASH_REDIS_URL", "REDIS_URL", "KV_URL"} <= set(first.split('ignored_env="')[1].split('"')[0].split())
    assert f"selected backend=default epoch=1 why=first priority=100 dataset=default url={redis_server.url()}" in log
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"
    assert redis_server.call("GET", "k") == b"v"


@pytest.mark.parametrize("priority, why", [("5", "first"), ("200", "first")])
def test_named_it_is_tried_in_its_order_and_the_reason_it_is_not_used_is_said(redis_server, start_respgate, priority, why):
    gate = start_respgate(redis_server, settings={"health.start_grace": "5s"}, env={
        "UPSTASH_REDIS_URL": CLOUD, "RESPGATE_BACKEND_UPSTASH_URL_ENV": "UPSTASH_REDIS_URL",
        "RESPGATE_BACKEND_UPSTASH_PRIORITY": priority})
    log = first_second(gate)
    first = log.splitlines()[0]
    assert 'ignored_env=""' in first and "upstash=rediss://default:***@name.invalid:6379" in first
    assert f"selected backend=default epoch=1 why={why}" in log
    assert "cause=dns" in gate.wait_for_log("backend down")
    with gate.connect() as client:
        told = status(client)
        assert told["backend"] == "default" and "name.invalid is not resolved" in told["backend_upstash"]


def test_check_names_the_step_that_fails(redis_server):
    done = run_respgate("check", "--connect", env={
        "RESPGATE_BACKEND_DOCKER_URL": redis_server.url(), "UPSTASH_REDIS_URL": CLOUD,
        "RESPGATE_BACKEND_UPSTASH_URL_ENV": "UPSTASH_REDIS_URL"})
    assert done.returncode == 2 and "the-secret-token" not in done.stdout + done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "ok in" in lines["docker"] and "FAILED at dns: the name name.invalid is not resolved" in lines["upstash"]


def test_the_plain_url_that_was_really_in_the_secret_is_named_as_the_mistake():
    done = run_respgate("run", env={"RESPGATE_BACKEND_A_URL": "redis://default:the-secret-token@x.upstash.io:6379"})
    assert done.returncode == 78 and "a host under upstash.io needs rediss://" in done.stderr
    assert "the-secret-token" not in done.stderr


def test_two_layers_that_name_two_backends_refuse_to_start(tmp_path):
    path = tmp_path / "gate.ini"
    path.write_text("[backend main]\nurl = redis://127.0.0.1:6379/0\n")
    env = {"RESPGATE_CONFIG": str(path), "RESPGATE_BACKEND_MAIN_URL": "rediss://elsewhere.example:6379"}
    done = run_respgate("run", env=env)
    assert done.returncode == 78
    assert f"{path}:2" in done.stderr and "env RESPGATE_BACKEND_MAIN_URL" in done.stderr


def test_who_expects_one_backend_is_never_given_another(redis_server, start_respgate):
    gate = start_respgate(f"redis://127.0.0.1:{free_port()}", settings={"fallback.queue_timeout": "200ms"}, env={
        "RESPGATE_BACKEND_OTHER_URL": redis_server.url(), "RESPGATE_EXPECT": "default"})
    gate.wait_for_log("backend down")
    with gate.connect() as client:
        reply = client.call("SET", "k", "v")
        assert str(reply).startswith("RGUNAVAIL")
        told = status(client)
        assert told["ready"] == "no" and "default" in told["ready_reason"]
    assert redis_server.call("GET", "k") is None
    done = run_respgate("wait", "--max", "200ms", env={"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{gate.port}",
                                                       "RESPGATE_BACKEND_URL": gate.backend_url})
    assert done.returncode == 75 and "default" in done.stderr


def test_ci_is_warned_of_a_backend_that_is_not_local(redis_server, start_respgate):
    env = {"CI": "true", "RESPGATE_BACKEND_CLOUD_URL": CLOUD, "RESPGATE_BACKEND_CLOUD_PRIORITY": "200"}
    gate = start_respgate(redis_server, env=env)
    line = gate.wait_for_log("not a local backend")
    assert "backend=cloud" in line and "--expect" in line
    assert gate.log().count("not a local backend") == 1


def test_its_own_address_as_backend_is_refused():
    port = free_port()
    done = run_respgate("run", env={"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{port}",
                                    "RESPGATE_BACKEND_URL": f"redis://localhost:{port}/0"})
    assert done.returncode == 78 and "our own listener" in done.stderr
