#!/usr/bin/env python3
"""The incident's application on many machines: processes and threads that all want one of a few places at the same
moment, round after round, and a log of their own of who ran when. Nothing here knows of respgate.

A round is a window in which everybody asks, runs and asks again, then a moment in which nobody does. A run is two
records in one file that all append to: when it began, after its place was given, and when it ended, before the place
was given back; on the clock that all processes of a machine share. So runs that overlap in the log did so in truth, and
what respgate or Redis say about it does not matter.

    observe(fleet(port=..., rounds=..., ...))
"""

import argparse
import json
import os
import queue
import random
import select
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid

import redis

from incident_app import STALE_TICKS, Slots

MOST = 2
SHAPE = [4] * 4 + [1] * 8  # the threads of each process: 24 in all
WINDOW_S, PAUSE_S, HOLD_S, RETRY_S = 0.07, 0.03, 0.02, 0.015
BEGIN_S = 0.1
DIES_AFTER = 15  # places that were given, on average, to a process that is killed before it takes one
KEY = "concurrent:agent:7"
RECORD = struct.Struct("<qIi")  # when, in which round, +1 or -1
ATOMIC = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[4])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""


# ---- members ----

class Done:
    """The limiter as it should have been. Its process dies before it asks: there is nothing in between."""

    def __init__(self, client, between):
        self.client, self.between, self.script = client, between, client.register_script(ATOMIC)

    def acquire(self):
        """A token, or None."""
        token = uuid.uuid1()
        arguments = [str(token), token.time, MOST, token.time - STALE_TICKS, 600]
        return str(token) if self.script(keys=[KEY], args=arguments) else None

    def release(self, token):
        """The run is over."""
        self.client.zrem(KEY, token)
        self.between()


class Lease:
    """The limiter of who has heard of respgate."""

    def __init__(self, client, between):
        self.client, self.between = client, between

    def acquire(self):
        """A token, or None."""
        token = str(uuid.uuid1())
        return token if self.client.execute_command("SEM.ACQUIRE", KEY, MOST, 600000, token)[0] else None

    def release(self, token):
        """The run is over."""
        self.client.execute_command("SEM.RELEASE", KEY, token)
        self.between()


class Doom:
    """Kills its process at some time when it is told to go on; without a pipe never."""

    def __init__(self, pipe):
        self.pipe, self.left = pipe, random.randint(1, 2 * DIES_AFTER)

    def __call__(self):
        self.left -= 1
        if self.pipe is not None and self.left == 0:
            os.write(self.pipe, struct.pack("<i", os.getpid()))
            while True:
                signal.pause()


def client_of(options, threads):
    """As all threads of a process share it. Of a pool that swaps, each command gets the connection used longest ago."""
    if options.way != "swapping":
        return redis.Redis(port=options.port)
    pool = redis.BlockingConnectionPool(port=options.port, max_connections=max(threads, 3), timeout=30,
                                        queue_class=queue.Queue)
    return redis.Redis(connection_pool=pool)


class Member:
    """One thread."""

    def __init__(self, options, slots, log):
        self.options, self.slots, self.log = options, slots, log

    def note(self, number, change):
        """One record, in one piece."""
        os.write(self.log, RECORD.pack(time.monotonic_ns(), number, change))

    def attempt(self, number):
        """Runs, if it may."""
        token = self.slots.acquire()
        if token is None:
            time.sleep(RETRY_S * random.uniform(0.5, 1.5))
            return
        self.note(number, 1)
        time.sleep(HOLD_S)
        self.note(number, -1)
        self.slots.release(token)

    def live(self):
        """All rounds that are still to come."""
        for number in range(self.options.rounds):
            start = self.options.start + number * (WINDOW_S + PAUSE_S)
            time.sleep(max(0.0, start - time.monotonic()))
            while time.monotonic() < start + WINDOW_S:
                self.attempt(number)


def slots_of(options, limiter, client, doom):
    """The limiter of one thread."""
    if limiter == "racy":
        return Slots(client, MOST, KEY, doom, options.policy == "open")
    return {"atomic": Done, "lease": Lease}[limiter](client, doom)


def run_process(options, limiter, threads, log, pipe):
    """A process's life."""
    random.seed(os.getpid())
    client, doom = client_of(options, threads), Doom(pipe if threads == 1 else None)
    members = [threading.Thread(target=Member(options, slots_of(options, limiter, client, doom), log).live)
               for _ in range(threads)]
    for member in members:
        member.start()
    for member in members:
        member.join()


# ---- all of them ----

def fork(run, *arguments):
    """A process that runs this and nothing else: its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        run(*arguments)
        code = 0
    finally:
        os._exit(code)


def take_doomed(reader):
    """The process that waits for its end; None without one for a moment."""
    if not select.select([reader], [], [], 0.05)[0]:
        return None
    return struct.unpack("<i", os.read(reader, 4))[0]


def run_fleet(options):
    """Starts them, kills those that are doomed, and puts others in their place: how many were killed."""
    log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    reader, writer = os.pipe()
    doom = writer if options.way == "killed" else None
    limiters = options.limiter.split("+")
    living = {}
    for number, threads in enumerate(SHAPE):
        member = limiters[number % len(limiters)], threads
        living[fork(run_process, options, *member, log, doom)] = member
    killed = 0
    while living:
        doomed = take_doomed(reader)
        if doomed is not None:
            os.kill(doomed, signal.SIGKILL)
            killed += 1
            living[fork(run_process, options, *living[doomed], log, doom)] = living[doomed]
        while living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            assert status == 0 or os.WIFSIGNALED(status), f"a member ended with {status}"
            del living[pid]
    return killed


# ---- who looks on ----

class Seen:
    """What the log says: rounds in which more ran at one time than may, and which share of the places was in use while
    all wanted one."""

    def __init__(self, options, killed):
        self.rounds, self.killed, self.start = options.rounds, killed, options.start
        with open(options.log, "rb") as file:
            self.events = sorted(RECORD.iter_unpack(file.read()), key=lambda event: event[::2])
        self.runs = sum(change > 0 for _, _, change in self.events)
        self.over, self.most = self.overshoots()

    def overshoots(self):
        """The rounds, and how many ran at one time at most."""
        running, most, over = 0, 0, set()
        for _, number, change in self.events:
            running += change
            most = max(most, running)
            if running > MOST:
                over.add(number)
        assert running == 0, "somebody was killed while it ran"
        return over, most

    def used(self, skipped=0):
        """The mean share of places in use, within the windows of rounds from `skipped` on."""
        first, length = int(self.start * 1e9), int((WINDOW_S + PAUSE_S) * 1e9)
        window, held = int(WINDOW_S * 1e9), 0
        running, since = 0, 0
        for at, _, change in self.events:
            held += running * within(since - first, at - first, length, window, skipped)
            running, since = running + change, at
        return held / (MOST * window * (self.rounds - skipped))


def within(begin, end, length, window, skipped):
    """How much of begin...end lies in the first `window` of each `length`, those before `skipped` left out."""
    total = 0
    for number in range(max(begin // length, skipped), end // length + 1):
        total += max(0, min(end, number * length + window) - max(begin, number * length))
    return total


def observe(directory, port, rounds, limiter="racy", policy="open", way="plain"):
    """Runs a fleet in a program of its own: what was seen of it."""
    path = directory / f"{limiter}-{policy}-{way}-{port}.log"
    path.unlink(missing_ok=True)
    words = {"port": port, "rounds": rounds, "limiter": limiter, "policy": policy, "way": way, "log": path}
    done = subprocess.run([sys.executable, __file__, *[f"--{name}={value}" for name, value in words.items()]],
                          stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    options = argparse.Namespace(**words, start=told["start"])
    return Seen(options, told["killed"])


def main():
    """The program: runs one fleet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in [("port", int), ("rounds", int), ("limiter", str), ("policy", str), ("way", str), ("log", str)]:
        parser.add_argument(f"--{name}", type=kind, required=True)
    options = parser.parse_args()
    options.start = time.monotonic() + BEGIN_S
    print(json.dumps({"killed": run_fleet(options), "start": options.start}))


if __name__ == "__main__":
    main()
