"""What the tests of bounds measure with: memory and CPU time of a process, and fast clients beside whoever misbehaves.

The fast clients are bench_load, a C program: Python clients would measure themselves. One window is a fixed number of
requests in a closed loop; its p99 moves by half from one window to the next on a shared machine, therefore a verdict
takes the median of the p99 of several windows, and every window counts.
"""

import json
import os
import resource
import select
import socket
import statistics
import subprocess
import time
from pathlib import Path

from harness import ROOT, respgate_binary

KIB, MIB = 1 << 10, 1 << 20
WINDOWS, WINDOW_REQUESTS, FAST_CLIENTS = 5, 20_000, 8
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


def load_binary():
    """bench_load of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "bench" / "bench_load"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("bench_load is not built: meson compile -C build; tests do not skip")


class FastClients:
    """Clients in a closed loop of GET and SET, in windows; a context manager."""

    def __init__(self, gate, backend, clients=FAST_CLIENTS):
        argv = [load_binary(), "--target", f"127.0.0.1:{gate.port}", "--preload", f"127.0.0.1:{backend.port}",
                "--clients", str(clients), "--requests", str(WINDOW_REQUESTS)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
        assert window["errors"] == 0 and window["requests"] == WINDOW_REQUESTS, window
        return window

    def windows(self, count=WINDOWS):
        """The figures of so many windows, one after the other."""
        measured = []
        for _ in range(count):
            self.begin()
            measured.append(self.end())
        return measured


def p99_us(windows):
    """The median of the windows' p99."""
    return statistics.median(window["p99_us"] for window in windows)


def max_ms(windows):
    """The longest wait of any request."""
    return max(window["max_us"] for window in windows) / 1000


def compare(figure, what, before, beside):
    """Put both p99 on record and demand that the second is at most twice the first."""
    factor = p99_us(beside) / p99_us(before)
    figure(f"p99 of others {what}: {p99_us(beside):.0f} us, {p99_us(before):.0f} us without: x{factor:.2f}"
           f" (at most x{P99_FACTOR:.0f}), longest wait {max_ms(beside):.1f} ms, {max_ms(before):.1f} ms without")
    assert factor <= P99_FACTOR, f"p99 beside {what}: {p99_us(beside)} us, {p99_us(before)} us without"


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


def small_buffers(port, size=64 * KIB):
    """A connection whose kernel buffers take little, so that an unread reply stays with respgate and the backend."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", port))
    return sock
