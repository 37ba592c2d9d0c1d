"""The container engine that tests/containers/run started, as its own command sees it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from harness import wait_until  # noqa: E402

RESPGATE, REDIS, APP = "respgate:dev", "redis:7", "respgate-example-app:dev"
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def run(*argv, timeout=120, check=True, **kwargs):
    """A command to its end, output and errors together; its failure fails the test with what it wrote."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout, check=False, **kwargs)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout[-4000:]}"
    return done


def docker(*arguments, **kwargs):
    """What `docker ARGUMENT...` wrote, without the last line's end."""
    return run("docker", *arguments, **kwargs).stdout.rstrip("\n")


def build(tag, dockerfile, context, *options):
    """An image from local images alone; a Dockerfile that needs another fails, as nothing is pulled."""
    docker("build", "--tag", tag, "--file", str(dockerfile), *options, str(context), timeout=400)
    return tag


class Container:
    """A container by name or id."""

    def __init__(self, name):
        self.name = name

    def inspect(self):
        """All the engine knows of it."""
        return json.loads(docker("inspect", self.name))[0]

    def state(self):
        """Its State."""
        return self.inspect()["State"]

    def health(self):
        """starting, healthy or unhealthy, as its HEALTHCHECK found it."""
        return self.state()["Health"]["Status"]

    def wait_for_health(self, status, timeout=30):
        """Until the engine's own checks say so."""
        wait_until(lambda: self.health() == status, timeout,
                   lambda: f"{self.name} to be {status}: {self.state()}\n{self.log()[-2000:]}")

    def log(self):
        """All it wrote."""
        return docker("logs", self.name)

    def lines(self):
        """The same, line by line."""
        return self.log().splitlines()

    def execute(self, *argv):
        """A command inside: exit code and output."""
        done = run("docker", "exec", self.name, *argv, check=False)
        return done.returncode, done.stdout

    def address(self, port):
        """Where a published port can be reached, as (host, port)."""
        host, number = docker("port", self.name, str(port)).splitlines()[0].rsplit(":", 1)
        return host, int(number)
