"""What the tests of bounds measure with: memory and CPU time of a process, and fast clients beside whoever misbehaves.

The fast clients are bench_load, a C program: Python clients would measure themselves. One window is a fixed number of
requests in a closed loop. On a shared machine the p99 of one window is up to ten times that of the next, whatever
respgate does, and what disturbs from outside only ever adds. So the measured processes have priority, and windows
without and beside the misbehaving client take turns, they are short and many, and the p99 of the least disturbed
window of either kind is compared: the misbehaviour is in force during the whole of each window beside it, so it
cannot hide from that. The medians are put on record as well, and so is the longest wait of all, which has a bound of
its own.
"""

import contextlib
import json
import os
import re
import resource
import select
import socket
import statistics
import subprocess
import time
from pathlib import Path

from harness import ROOT, respgate_binary, wait_until

KIB, MIB = 1 << 10, 1 << 20
# A Redis that is made to copy hundreds of megabytes may be late for a check; none of these tests is about that.
PATIENT = {"health.timeout": "10s"}
ROUNDS, WINDOWS, WINDOW_REQUESTS, FAST_CLIENTS = 4, 4, 5_000, 8
P99_FACTOR = 2.0


def allow_descriptors():
    """Raise this process's soft limit, which its children inherit, to the hard one; returns the latter."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def status_bytes(pid, key):
    """A size from /proc/PID/status, such as VmRSS."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * KIB
    raise KeyError(key)


def memory(pid):
    """Resident bytes now."""
    return status_bytes(pid, "VmRSS")


def forget_peak(pid):
    """Make the peak start again from what is resident now; returns that."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return memory(pid)


def peak(pid):
    """The most that was ever resident since `forget_peak`."""
    return status_bytes(pid, "VmHWM")


def cpu_seconds(pid):
    """User and system time of all threads."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def prefer(*pids):
    """Let these go before whatever else the machine does, where that is permitted; all threads they have by now."""
    with contextlib.suppress(PermissionError):
        for pid in pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(thread), -20)


@contextlib.contextmanager
def preferred(*pids):
    """The same for these and the test itself, as long as it is in here."""
    prefer(os.getpid(), *pids)
    try:
        yield
    finally:
        for thread in os.listdir("/proc/self/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), 0)


def load_binary():
    """bench_load of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "bench" / "bench_load"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("bench_load is not built: meson compile -C build; tests do not skip")


class FastClients:
    """Clients in a closed loop of GET and SET, in windows; a context manager."""

    def __init__(self, gate, backend, requests=WINDOW_REQUESTS):
        self.requests = requests
        argv = [load_binary(), "--target", f"127.0.0.1:{gate.port}", "--preload", f"127.0.0.1:{backend.port}",
                "--clients", str(FAST_CLIENTS), "--requests", str(requests)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        prefer(gate.pid, backend.pid, self.child.pid)
        assert self.child.stdout.readline() == "READY\n", "bench_load did not get ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        finally:
            self.child.kill()
            self.child.wait()
            self.child.stdout.close()

    def begin(self):
        """Start a window and do not wait for it."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        """Wait for the window; its figures as a dict. An error or a stall of five seconds ends bench_load."""
        line = self.child.stdout.readline()
        assert line, "bench_load ended: a fast client failed, see its stderr"
        window = json.loads(line)
        assert window["errors"] == 0 and window["requests"] == self.requests, window
        return window

    def windows(self, count=WINDOWS):
        """The figures of so many windows, one after the other."""
        measured = []
        for _ in range(count):
            self.begin()
            measured.append(self.end())
        return measured


def max_ms(windows):
    """The longest wait of any request."""
    return max(window["max_us"] for window in windows) / 1000


def compare(figure, what, fast, misbehaviour, longest_ms=1000):
    """Windows without and within `misbehaviour()`, a context manager: p99 at most doubles, nobody waits too long."""
    without, beside = [], []
    for _ in range(ROUNDS):
        without += fast.windows()
        with misbehaviour():
            beside += fast.windows()
    base, best = (min(window["p99_us"] for window in windows) for windows in (without, beside))
    medians = [statistics.median(window["p99_us"] for window in windows) for windows in (without, beside)]
    figure(f"p99 of others beside {what}: {best:.0f} us, {base:.0f} us without: x{best / base:.2f}"
           f" (at most x{P99_FACTOR:.0f}); medians of {len(beside)} windows {medians[1]:.0f} and {medians[0]:.0f} us,"
           f" longest wait {max_ms(beside):.0f} ms (at most {longest_ms}), {max_ms(without):.0f} ms without")
    assert best <= P99_FACTOR * base, f"p99 beside {what}: {best} us, {base} us without"
    assert max_ms(beside) <= longest_ms, f"beside {what} somebody waited {max_ms(beside)} ms"


def settled(value, readings=30):
    """Poll until `value()` is above 0 and the same so many times in a row; returns it."""
    last, same = None, 0

    def check():
        nonlocal last, same
        now = value()
        same = same + 1 if now == last else 0
        last = now
        return now and same >= readings
    wait_until(check, what=lambda: f"something to come to rest at {last}")
    return last


def backend_holds(redis_server):
    """Bytes of replies that Redis holds because they are not read."""
    clients = redis_server.call("CLIENT", "LIST").decode()
    return sum(int(size) for size in re.findall(r"\bomem=(\d+)", clients))


def closed_within(sock, seconds):
    """Whether the peer closes the socket in time; what it sent before is dropped."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        readable, _, _ = select.select([sock], [], [], max(deadline - time.monotonic(), 0))
        try:
            if readable and not sock.recv(MIB):
                return True
        except ConnectionResetError:
            return True
    return False
