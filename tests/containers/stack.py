"""deploy/compose.yaml as it runs, and ways to break the Redis in it."""

import os
import re
import urllib.error
import urllib.request

from engine import ROOT, Container, docker, run, wait_until

FILES = ROOT / "deploy" / "compose.yaml", ROOT / "deploy" / "compose.upstash.yaml"
PROJECT = "stack"
COUNTED = re.compile(r"counted (\d+)")
# What the application prints of respgate's errors, as README.md has them.
UNAVAILABLE = "failed ResponseError RGUNAVAIL no backend is usable; nothing was sent, safe to retry"
UNKNOWN = re.compile(r"failed ResponseError RGUNKNOWN .* it may have run")
CLOSED = re.compile(r"failed ConnectionError .*")


class Stack:
    """It runs within a `with`: of these compose files, with these variables."""

    def __init__(self, files, **env):
        self.files = [argument for file in files for argument in ("--file", str(file))]
        self.env = {**os.environ, **env}
        self.containers = {}

    def compose(self, *arguments):
        """docker-compose with these files."""
        return run("docker-compose", "--project-name", PROJECT, *self.files, *arguments, env=self.env, timeout=300)

    def __enter__(self):
        """All services, each after the one before it is healthy."""
        try:
            self.compose("up", "--detach")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """Everything away."""
        self.compose("down", "--volumes", "--timeout", "2")

    def service(self, name):
        """Its container."""
        if name not in self.containers:
            self.containers[name] = Container(self.compose("ps", "--quiet", name).stdout.strip())
        return self.containers[name]

    def status(self):
        """RESPGATE STATUS as a dict, asked over the published port."""
        text = run("redis-cli", "-p", "6380", "respgate", "status").stdout
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def wait_for_backend(self, name):
        """Until requests go there; respgate's own command says why not."""
        code, output = self.service("respgate").execute("respgate", "wait", "--for", f"backend={name}", "--max", "20s")
        assert code == 0, output + self.service("respgate").log()[-3000:]

    def app_lines(self, after=0):
        """What the application printed after its first `after` lines."""
        return self.service("app").lines()[after:]

    def wait_for_counts(self, after, number=2):
        """Until it counted `number` times more; returns its lines after the first `after`."""
        def done():
            lines = self.app_lines(after)
            return lines if sum("counted" in line for line in lines) >= number else None
        return wait_until(done, 20, lambda: f"the application to count: {self.app_lines(after)[-10:]}")


def readyz():
    """Status and text of /readyz?verbose on the published stats port."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:9380/readyz?verbose", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def counts(lines):
    """The numbers it counted."""
    return [int(found[1]) for line in lines if (found := COUNTED.fullmatch(line))]


def failures(lines):
    """What failed, line by line."""
    return [line for line in lines if not COUNTED.fullmatch(line)]


class Fault:
    """One way to lose a Redis, and to get it back, with its data or without."""

    def __init__(self, name, make, mend, keeps_data=True):
        self.name, self.make, self.mend, self.keeps_data = name, make, mend, keeps_data

    def __str__(self):
        return self.name


NETWORK = f"{PROJECT}_default"
FAULTS = [
    Fault("paused", lambda redis: docker("pause", redis.name), lambda redis: docker("unpause", redis.name)),
    Fault("cut off", lambda redis: docker("network", "disconnect", NETWORK, redis.name),
          lambda redis: docker("network", "connect", "--alias", "redis", NETWORK, redis.name)),
    Fault("stopped", lambda redis: docker("stop", redis.name), lambda redis: docker("start", redis.name), False),
]
