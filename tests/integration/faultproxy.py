"""Drives tests/tools/faultproxy, a TCP proxy that fails as it is told to."""

import json
import subprocess
from pathlib import Path

from harness import ROOT, respgate_binary

END_LIMIT_S = 10


def faultproxy_binary():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "tools" / "faultproxy"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("faultproxy is not built: meson compile -C build; tests do not skip")


class FaultProxy:
    """with FaultProxy(redis.port) as proxy: proxy.say("drop"); what it obeys is in its usage."""

    def __init__(self, port, seed=1):
        self.child = subprocess.Popen(
            [faultproxy_binary(), "--target", f"127.0.0.1:{port}", "--seed", str(seed)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.child.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(END_LIMIT_S)
        finally:
            self.child.kill()
            self.child.wait()
            self.child.stdout.close()

    def ask(self, command):
        """The one line that answers a command, which is obeyed when this returns."""
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def say(self, command):
        """Commit a fault, or end all of them with "pass"."""
        answer = self.ask(command)
        assert answer == "ok", f"faultproxy: {command}: {answer or 'it ended'}"

    def counts(self):
        """links, accepted, resets, request_bytes, reply_bytes."""
        return json.loads(self.ask("counts"))

    def url(self, scheme="redis", login=""):
        """The backend's URL through this proxy."""
        return f"{scheme}://{login}127.0.0.1:{self.port}/0"
