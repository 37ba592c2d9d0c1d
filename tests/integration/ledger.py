"""Runs tests/tools/ledgerload and audits what its clients were told against what the servers hold."""

import subprocess
import time
from collections import namedtuple
from pathlib import Path

from harness import ROOT, respgate_binary

Request = namedtuple("Request", "connection sequence sent_us done_us outcome")


def now_us():
    """The clock of ledgerload."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def ledgerload_binary():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "tools" / "ledgerload"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("ledgerload is not built: meson compile -C build; tests do not skip")


class Load:
    """A load on 127.0.0.1:port until `stop`; then `requests` and `refused` are known."""

    def __init__(self, port, directory, connections=8, seconds=60, prefix="load"):
        self.prefix = prefix
        self.path = Path(directory) / f"{prefix}.events"
        with open(self.path, "wb") as out:
            self.child = subprocess.Popen(
                [ledgerload_binary(), "127.0.0.1", str(port), str(connections), str(seconds), prefix],
                stdin=subprocess.PIPE, stdout=out)
        self.requests, self.refused = [], 0

    def stop(self):
        """End it and read its events."""
        self.child.stdin.close()
        assert self.child.wait(20) == 0
        for line in self.path.read_text().splitlines():
            connection, sequence, sent, done, outcome = line.split()
            if outcome == "refused":
                self.refused += 1
            else:
                self.requests.append(Request(int(connection), int(sequence), int(sent), int(done), outcome))
        return self

    def count(self, *outcomes):
        """How many requests were told one of these."""
        return sum(request.outcome in outcomes for request in self.requests)


class Audit:
    """How often each request ran on all servers together, and what does not fit what its client was told."""

    def __init__(self, load, servers):
        self.twice, self.denied_but_ran, self.missing = [], [], []
        held = [self.values(server, load) for server in servers]
        for request, *counts in zip(load.requests, *held):
            ran = sum(counts)
            if ran > 1:
                self.twice.append(request)
            if request.outcome == "unavailable" and ran:
                self.denied_but_ran.append(request)
            if request.outcome == "ok" and not ran:
                self.missing.append(request)

    @staticmethod
    def values(server, load, batch=1000):
        """The counters on one server, in the order of the requests."""
        keys = [f"{load.prefix}:{request.connection}:{request.sequence}" for request in load.requests]
        values = []
        with server.connect(60) as connection:
            for start in range(0, len(keys), batch):
                values += [int(value or 0) for value in connection.call("MGET", *keys[start:start + batch])]
        return values
