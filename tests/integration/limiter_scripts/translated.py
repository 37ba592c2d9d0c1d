"""Runs limiter commands as respgate would send them: tests/tools/limitcall translates, a real Redis executes."""

import hashlib
import subprocess
from pathlib import Path

from harness import ROOT, decode, encode, respgate_binary
from limiter_scripts.lab import assemble


def limitcall_binary():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "tools" / "limitcall"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("limitcall is not built: meson compile -C build; tests do not skip")


class Translator:
    """A client of `lab`'s Redis whose commands go through limitcall, on the lab's clock when that is virtual."""

    def __init__(self, lab, *options):
        self.lab = lab
        self.options = options
        self.names = {hashlib.sha1(assemble.assemble(name).encode()).hexdigest(): name for name in assemble.names()}

    def tool(self, data, *options, codes=(0,)):
        """limitcall's output."""
        run = subprocess.run([limitcall_binary(), *options], input=data, capture_output=True, check=False)
        assert run.returncode in codes, run.stderr
        return run.stdout

    def request(self, *command, options=()):
        """The arguments of the EVALSHA that a backend would get."""
        return decode(self.tool(encode(*command), *self.options, *options))

    def call(self, *command, resp=2, options=()):
        """One command; its reply as the client would get it, raw when it is an error."""
        translated = self.tool(encode(*command), *self.options, *options, codes=(0, 1))
        if translated.startswith(b"-"):
            return decode(translated)
        return decode(self.tool(encode(*command) + self.run(decode(translated)), "--reply", str(resp)))

    def run(self, request):
        """The raw reply to a translated request; its script is there."""
        sha = self.lab.sha(self.names[request[1].decode()])
        if self.lab.virtual:
            request = [request[0], sha, *request[2:], self.lab.now_us]
        self.lab.connection.command(*request)
        return self.lab.connection.read_reply()
