"""Many processes on one semaphore that are killed, that lose replies and that let leases run out, and a judge who
believes none of the backend's words: it counts the times at which a worker held for certain, by one clock for all.

For certain is from when its reply was there to when it sent its release, or to a lease after it had first sent its
request, whichever was sooner. A worker writes both to a file of its own before it goes on, so SIGKILL hides nothing.
"""

import multiprocessing
import os
import random
import signal
import socket
import struct
import time

from harness import encode

EVENT = struct.Struct("<Bdd")
GRANT, GRANT_AGAIN, RELEASE = 1, 2, 3


class Worker:
    """What runs in one process, for ever."""

    def __init__(self, port, sha_acquire, sha_release, limit, lease_ms, file):
        self.port, self.lease_ms, self.file = port, lease_ms, file
        self.acquire = ("EVALSHA", sha_acquire, 2, "k", "k:m", 2**53 - 1, limit, lease_ms * 1000)
        self.release = ("EVALSHA", sha_release, 2, "k", "k:m", 2**53 - 1)
        self.rng = random.Random(os.getpid())
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def note(self, kind, start, end):
        os.write(self.file, EVENT.pack(kind, start, end))

    def call(self, request, elements):
        """The integers of a reply: an array of `elements`, or one."""
        self.socket.sendall(request)
        reply = b""
        while reply.count(b"\r\n") < elements + (elements > 1):
            reply += self.socket.recv(4096)
        assert reply[:1] in b"*:", reply
        return [int(line[1:]) for line in reply.split(b"\r\n")[(elements > 1):-1]]

    def hold_once(self, token):
        """Ask until granted, hold a moment, release or not."""
        request = encode(*self.acquire, token, 1, "plain")
        while True:
            sent = time.monotonic()
            if self.rng.random() < 0.05:  # the reply is lost: ask again, by the same token
                self.socket.sendall(request)
                self.socket.close()
                self.connect()
            reply = self.call(request, 10)
            if reply[0]:
                break
            time.sleep(self.rng.random() * 0.012)
        self.note(GRANT_AGAIN if reply[6] else GRANT, time.monotonic(), sent + self.lease_ms / 1000)
        if self.rng.random() < 0.5:
            time.sleep(self.rng.random() * 0.0005)
        if self.rng.random() < 0.005:  # forgotten: only the end of the lease frees it
            return
        self.note(RELEASE, time.monotonic(), 0)
        self.call(encode(*self.release, token), 1)

    def run(self):
        number = 0
        while True:
            number += 1
            self.hold_once(f"{os.getpid()}:{number}")


class Crowd:
    """`size` workers, some of which are killed and replaced all the time, until there were `target` grants."""

    def __init__(self, directory, size, *worker_arguments):
        self.directory, self.size, self.worker_arguments = directory, size, worker_arguments
        self.processes, self.files, self.kills = [], 0, 0

    def start_one(self):
        path = self.directory / f"worker-{self.files}"
        self.files += 1
        process = multiprocessing.get_context("fork").Process(target=self.work, args=(path,), daemon=True)
        process.start()
        self.processes.append(process)

    def work(self, path):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        Worker(*self.worker_arguments, file).run()

    def kill_one(self):
        process = self.processes.pop(random.randrange(len(self.processes)))
        assert process.exitcode is None, "a worker ended by itself"
        process.kill()
        process.join()
        process.close()
        self.kills += 1

    def events(self):
        """Each worker's own events, in order."""
        for number in range(self.files):
            path = self.directory / f"worker-{number}"
            if path.exists():
                data = path.read_bytes()
                yield list(EVENT.iter_unpack(data[: len(data) - len(data) % EVENT.size]))

    def grants(self):
        return sum(kind != RELEASE for events in self.events() for kind, _, _ in events)

    def run(self, target, on_tick, limit_s):
        """Until `target` grants, or `limit_s`; `on_tick` is called about thirty times a second."""
        deadline = time.monotonic() + limit_s
        try:
            for _ in range(self.size):
                self.start_one()
            while self.grants() < target:
                assert time.monotonic() < deadline, f"{self.grants()} of {target} grants in {limit_s} s"
                on_tick()
                self.kill_one()
                self.start_one()
                time.sleep(0.03)
        finally:
            while self.processes:
                process = self.processes.pop()
                process.kill()
                process.join()

    def most_holders(self):
        """The most workers that held for certain at any one time."""
        edges = []
        for events in self.events():
            for i, (kind, start, end) in enumerate(events):
                if kind != RELEASE:
                    if i + 1 < len(events) and events[i + 1][0] == RELEASE:
                        end = min(end, events[i + 1][1])
                    edges += [(start, 1), (end, -1)] if end > start else []
        most = holders = 0
        for _, step in sorted(edges):
            holders += step
            most = max(most, holders)
        return most
