"""The stats port as its users see it: HTTP by hand, metrics as a dict, a single thread that stands still."""

import ctypes
import http.client
import json
import os
import re
import socket
from contextlib import contextmanager

from harness import wait_until

SERIES = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", re.M)


def fetch(gate, path, method="GET", headers=None, body=None):
    """(status, text) of one request to the stats port."""
    connection = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def fetch_unix(path, target, method="GET"):
    """(status, text) of one request over a Unix socket."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    try:
        connection.sock.connect(str(path))
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def metrics(gate):
    """{'respgate_backend_up{backend="a"}': 1.0}: every series of /metrics."""
    status, text = fetch(gate, "/metrics")
    assert status == 200, text
    return {name: float(value) for name, value in SERIES.findall(text)}


def stats(gate):
    """/stats.json."""
    status, text = fetch(gate, "/stats.json")
    assert status == 200, text
    return json.loads(text)


def events(gate):
    """/events as a list of dicts."""
    return [json.loads(line) for line in fetch(gate, "/events")[1].splitlines()]


def wait_for_metric(gate, name, value):
    """Wait until a series has this value."""
    wait_until(lambda: metrics(gate)[name] == value, what=lambda: f"{name} {value}, not {metrics(gate)[name]}")


def worker_threads(gate):
    """Thread ids of the workers: all but main's, which is the process id."""
    return sorted(int(tid) for tid in os.listdir(f"/proc/{gate.pid}/task") if int(tid) != gate.pid)


@contextmanager
def thread_stopped(tid):
    """One thread of another process stands still, and the others run: what no signal can do, but ptrace can."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt, detach = 0x4206, 0x4207, 17
    for request in (seize, interrupt):
        assert libc.ptrace(request, tid, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(tid, 0x40000000)  # __WALL: it stops soon
    try:
        yield
    finally:
        libc.ptrace(detach, tid, None, None)
