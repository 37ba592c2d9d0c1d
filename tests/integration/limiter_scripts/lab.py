"""Runs the limiter's scripts by EVALSHA on a real Redis, on its own clock or on one that the test holds.

With `virtual_clock.lua` in front a script sees the time `Lab.now_us` and keys expire by that time; the script itself
stays the text that ships. Nothing of this is in a script, so no caller can move the clock of a real one.
"""

import hashlib
import sys
from pathlib import Path

from harness import ROOT, ErrorReply, encode

sys.path.append(str(ROOT / "limiter" / "scripts"))
import assemble  # noqa: E402 pylint: disable=wrong-import-position

NEVER = 2**53 - 1
START_US = 1_790_000_000_123_457
VIRTUAL_CLOCK = (Path(__file__).parent / "virtual_clock.lua").read_text()
ODD_KEYS = [b"a{b}c", b"}{", b"\x00\xff\r\n ", b"k" * 32768]
FOREIGN = "ERR key does not hold a limiter state"


class Lab:
    """One connection to a Redis and the scripts loaded there. `virtual` gives it the clock `now_us`."""

    def __init__(self, server, virtual=True):
        self.connection = server.connect()
        self.virtual = virtual
        self.now_us = START_US
        self.shas = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def sha(self, name):
        """The script's SHA1; loads it when it was not yet."""
        if name not in self.shas:
            text = (VIRTUAL_CLOCK if self.virtual else "") + assemble.assemble(name)
            self.shas[name] = self.connection.call("SCRIPT", "LOAD", text).decode()
            assert self.shas[name] == hashlib.sha1(text.encode()).hexdigest()
        return self.shas[name]

    def request(self, name, keys, args, deadline_us=NEVER):
        """The arguments of EVALSHA for one call at this time."""
        keys = [keys] if isinstance(keys, (str, bytes)) else keys
        clock = [self.now_us] if self.virtual else []
        return ("EVALSHA", self.sha(name), len(keys), *keys, deadline_us, *args, *clock)

    def run(self, name, keys, *args, deadline_us=NEVER):
        """One call; its reply as a Python value."""
        return self.connection.call(*self.request(name, keys, args, deadline_us))

    def call(self, *args):
        """A plain command on the same connection."""
        return self.connection.call(*args)

    def pipeline(self, requests, batch=200):
        """All replies to these requests, in order."""
        replies = []
        for start in range(0, len(requests), batch):
            some = requests[start : start + batch]
            self.connection.send(b"".join(encode(*request) for request in some))
            replies += [self.connection.read_value() for _ in some]
        return replies

    def forget(self):
        """An empty Redis, scripts kept."""
        assert self.call("FLUSHALL") == "OK"

    def dump(self, *keys):
        """All there is to see of these keys' values."""
        return [self.call("DUMP", key) for key in keys]

    def now_server_us(self):
        """The backend's own clock."""
        seconds, microseconds = self.call("TIME")
        return int(seconds) * 1000000 + int(microseconds)


def is_error(reply, start):
    """True for an error reply whose text starts so and carries no trace of a script."""
    return isinstance(reply, ErrorReply) and reply.startswith(start) and "script" not in reply
