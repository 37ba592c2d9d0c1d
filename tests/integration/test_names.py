"""Backends by name: looked up without blocking, again when the answer's time is over, and never worse for a name server
that fails. The name server is a scripted one; respgate sees it as its only one (a mount namespace of its own)."""

import socket
import struct
import threading
import time

import pytest

from harness import Respgate, free_port, wait_until
from test_switch import FAST, status

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class NameServer:
    """Answers every A question with `address` (None: an answer without any) and `ttl`, or with the code `code`."""

    def __init__(self):
        self.address, self.ttl, self.code, self.silent = "127.0.0.1", 1, NOERROR, False
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """One question after another."""
        while True:
            try:
                question, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            end = question.index(b"\0", 12) + 5
            kind = struct.unpack(">H", question[end - 4:end - 2])[0]
            self.questions.append((time.monotonic(), kind))
            if self.silent:
                continue
            found = kind == 1 and self.code == NOERROR and self.address
            answer = question[:2] + struct.pack(">HHHHH", 0x8180 | self.code, 1, 1 if found else 0, 0, 0)
            answer += question[12:end]
            if found:
                answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, self.ttl, 4) + socket.inet_aton(self.address)
            self.socket.sendto(answer, peer)


class NamedRespgate(Respgate):
    """respgate that knows no other name server."""

    def spawn(self, argv, env=None):
        """In a mount namespace in which resolv.conf is ours; the process id stays the same."""
        script = f"mount --bind {self.directory}/resolv.conf /etc/resolv.conf && exec \"$@\""
        super().spawn(["unshare", "--mount", "sh", "-c", script, "sh", *argv], env)


@pytest.fixture
def names():
    """The name server."""
    server = NameServer()
    yield server
    server.socket.close()


@pytest.fixture
def start_named(names, tmp_path):
    """Factory: start_named(port) with the backend redis.test:port."""
    started = []

    def start(port, **settings):
        (tmp_path / "resolv.conf").write_text(f"nameserver 127.0.0.1:{names.port}\noptions timeout:1 attempts:1\n")
        gate = NamedRespgate(tmp_path, f"redis://redis.test:{port}", settings={**FAST, **settings})
        started.append(gate)
        return gate.start()

    yield start
    for gate in started:
        gate.finish()


def test_a_name_is_looked_up_and_again_when_its_time_is_over(names, redis_server, start_named):
    gate = start_named(redis_server.port)
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"
        seen = len(names.questions)
        wait_until(lambda: len(names.questions) >= seen + 6, what="it to be asked again")
        assert client.call("GET", "k") == b"v" and status(client)["epoch"] == "1"
    times = sorted(when for when, kind in names.questions if kind == 28)
    assert all(later - earlier > 0.8 for earlier, later in zip(times, times[1:])), "not more often than once a second"


@pytest.mark.parametrize("trouble", ["nxdomain", "servfail", "silent", "empty"])
def test_a_name_server_that_fails_later_changes_nothing(names, redis_server, start_named, trouble):
    gate = start_named(redis_server.port)
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"
        names.code = {"nxdomain": NXDOMAIN, "servfail": SERVFAIL}.get(trouble, NOERROR)
        names.silent = trouble == "silent"
        names.address = None if trouble == "empty" else names.address
        gate.wait_for_log("backend name not resolved", 20)
        with redis_server.connect() as witness:  # all connections are made anew, to the address known last
            witness.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert client.call("INCR", "n") == 1 or client.call("INCR", "n")
        assert status(client)["epoch"] == "1"
    assert gate.log().count("backend name not resolved") == 1, "one line for a reason, not one for an attempt"


def test_a_new_address_is_followed(names, redis_server, start_named):
    gate = start_named(redis_server.port)
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"
        names.address = "127.0.0.2"  # nobody listens there: the server is on 127.0.0.1 only
        wait_until(lambda: gate.log().count("backend name resolved") == 2, what="the change to be seen")
        with redis_server.connect() as witness:
            witness.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        gate.wait_for_log("backend down")
        names.address = "127.0.0.1"
        wait_until(lambda: client.call("GET", "k") == b"v", 20, what="the right address to be used again")


def test_a_name_that_comes_late_is_waited_for(names, redis_server, start_named):
    names.code = NXDOMAIN
    gate = start_named(redis_server.port)
    assert "cause=dns" in gate.wait_for_log("backend down")
    names.code = NOERROR
    with gate.connect() as client:
        wait_until(lambda: client.call("SET", "k", "v") == "OK", 20, what="the name to be known")


def test_a_silent_name_server_blocks_nobody(names, redis_server, start_named):
    names.silent = True
    gate = start_named(free_port(), **{"fallback.queue_timeout": "100ms"})
    with gate.connect() as client:
        begun = time.monotonic()
        for _ in range(20):
            assert status(client)["backend"] == "none"
        assert time.monotonic() - begun < 1
