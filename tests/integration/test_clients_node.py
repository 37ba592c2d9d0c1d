"""The JavaScript clients work through respgate as they do on Redis: each script of tests/clients, its own assertions.

A script that asks for it gets its Redis restarted in the middle, so that the clients must recover by themselves. The
same scripts run on Redis without respgate as well, which shows that what they assert is Redis's behaviour.
"""

import os
import shutil

import pytest

from client_program import run_program
from harness import ROOT

SCRIPTS = ROOT / "tests" / "clients"
CLIENTS = ("ioredis.js ioredis", "ioredis.js ioredis6", "node_redis.js redis5 2", "node_redis.js redis5 3",
           "node_redis.js redis 2", "node_redis.js redis 3", "bullmq.js ioredis", "bullmq.js redis")
MAIN_CLIENTS = ("ioredis.js ioredis", "node_redis.js redis 3", "bullmq.js ioredis")


def run_script(command, url, redis_server):
    """Run it to its end and fail with its output unless every case passed."""
    if not (SCRIPTS / "node_modules").is_dir():
        raise FileNotFoundError("tests/clients/node_modules: run `tests/run clients` first, tests do not skip")
    script, *arguments = command.split()
    env = {**os.environ, "REDIS_URL": url, "CASE_TIMEOUT_MS": "60000"}
    said = run_program([shutil.which("node") or "node", script, *arguments], redis_server, cwd=SCRIPTS, env=env)
    count = sum(line.startswith("ok: ") for line in said.splitlines())
    assert f"cases: {count} run, 0 failed" in said and count >= 10, said


@pytest.mark.parametrize("command", CLIENTS)
def test_script_through_respgate(command, redis_server, start_respgate):
    """One worker, which is the default."""
    gate = start_respgate(redis_server, settings={"listen.workers": 1})
    run_script(command, gate.url(), redis_server)


@pytest.mark.threads
@pytest.mark.parametrize("command", MAIN_CLIENTS)
def test_script_through_two_workers(command, redis_server, start_respgate):
    """The clients of one application on different threads of respgate."""
    gate = start_respgate(redis_server, settings={"listen.workers": 2})
    run_script(command, gate.url(), redis_server)


@pytest.mark.figures
@pytest.mark.parametrize("command", MAIN_CLIENTS)
def test_script_on_redis_itself(command, redis_server):
    """What the scripts assert holds without respgate. Marked as a figure: an instrumented build has no part in it."""
    run_script(command, redis_server.url(), redis_server)
