"""README.md, "Five ways to deploy": they are short, and the one without a manager or containers works as it stands.

That with systemd is in test_deploy_package.py, those with containers in tests/containers.
"""

import subprocess
import sys

from harness import ROOT, free_port, respgate_env

sys.path.insert(0, str(ROOT / "tests"))
from readme_blocks import COMPOSE, DEPLOY, GITHUB, KUBERNETES, PLAIN, SYSTEMD  # noqa: E402


def test_there_are_five_and_each_is_short():
    ways = [COMPOSE, GITHUB, KUBERNETES, SYSTEMD, PLAIN]
    assert DEPLOY.count("```") == 2 * len(ways) == 2 * len(set(ways))
    assert [way for way in ways if len(way.splitlines()) > 15] == []


def test_a_plain_binary_serves_and_ends(redis_server):
    port = free_port()
    script = PLAIN.replace("redis://127.0.0.1:6379/0", redis_server.url()).replace(":6380/", f":{port}/")
    env = {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{port}", "RESPGATE_STATS_ADDRESS": ""}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=ROOT, env=respgate_env(env), capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nready after " in done.stdout and done.stdout.endswith("\nOK\n")
    assert "msg=draining signal=SIGTERM" in done.stderr
    assert redis_server.call("GET", "greeting") == b"hello"
