"""Every allocation of a scenario fails once, one after the other, in a real respgate (tests/tools/allocfail.c).

A scenario is what clients do and may see. Each reply must be the right one or an error that says so, or the connection
is closed; afterwards respgate serves a new client as before, or has ended with a line that says why. Of a process that
has survived all of its failures a clean exit, a balanced ledger and no leak are demanded.
"""

import mmap
import os
import random
import struct
import time
from pathlib import Path

from certs import certificates
from harness import LEDGER_OUTCOMES, ROOT, SANITIZER_MARKS, RedisServer, Respgate, respgate_binary, wait_until
from upstash import TlsServer
from wire import RespConnection, WireError, encode

ANSWER_S = 5
QUICK = {"health.interval": "100ms", "health.fast_interval": "20ms", "health.timeout": "1s", "health.fall": 2,
         "health.rise": 1, "fallback.failback_hold": "0", "fallback.failback_hold_max": "0",
         "fallback.queue_timeout": "3s", "fallback.on_dataset_change": "continue"}


class Hang(AssertionError):
    """Neither an answer nor an end."""


class Control:
    """What the library in the process obeys."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(24))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 24)

    def arm(self, fail_at):
        """Count from here; the allocation with this number fails (0: none)."""
        self.memory[8:24] = struct.pack("QQ", fail_at, 0)
        self.memory[0:8] = struct.pack("Q", 1)

    def disarm(self):
        """No more; how many there were."""
        self.memory[0:8] = bytes(8)
        return struct.unpack("Q", self.memory[16:24])[0]


def library():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).resolve().parent, ROOT / "build"):
        found = build / "tests" / "tools" / "liballocfail.so"
        if found.exists():
            return str(found)
    raise FileNotFoundError("allocfail is not built: meson compile -C build; tests do not skip")


class FailingGate(Respgate):
    """respgate with the library in it."""

    def __init__(self, directory, backend_url, control, env=None, **kwargs):
        sanitizer = os.environ.get("ASAN_OPTIONS", "")
        super().__init__(directory, backend_url, env={
            "LD_PRELOAD": library(), "ALLOCFAIL_CONTROL": str(control.path),
            "ASAN_OPTIONS": f"{sanitizer}:verify_asan_link_order=0", **(env or {})}, **kwargs)

    def answers(self):
        """Whether a new client is served."""
        try:
            with RespConnection(self.port, 1) as client:
                client.command("PING")
                return client.read_reply() == b"+PONG\r\n"
        except (OSError, WireError):
            return False

    def judge_end(self, what):
        """It has ended by itself: by our own hand, and saying why."""
        code, log = self.child.wait(ANSWER_S), self.log()
        assert not [mark for mark in SANITIZER_MARKS if mark in log], f"{what}:\n{log[-6000:]}"
        assert code > 0, f"{what}: ended with {code}:\n{log[-3000:]}"
        assert "level=error" in log or "out of memory" in log, f"{what}: ended with {code} and did not say why:\n{log[-3000:]}"


class Scenario:
    """What is done to one respgate again and again. `act` may raise OSError and WireError: connections end."""

    fresh = False  # whether each failure meets a process that has done nothing yet

    def __init__(self, directory):
        self.directory = Path(directory)
        self.control = Control(self.directory / "allocfail")
        self.gate = None
        self.servers = []
        self.ended, self.survived = 0, 0

    def serve(self, server):
        """A backend, started."""
        self.servers.append(server)
        return server.start()

    def make_gate(self):
        """A respgate that is not started."""
        raise NotImplementedError

    def prepare(self):
        """Before each act."""

    def act(self):
        """What is to be survived."""
        raise NotImplementedError

    def count(self):
        """How many allocations there are when none fails; the second time, when caches are warm."""
        self.once(0)
        return self.once(0)

    def start(self):
        """With a fresh process, or the one that survived so far."""
        if self.fresh:
            self.finish()
            self.gate = None
        if self.gate is None or self.gate.exit_code is not None:
            self.gate = self.make_gate().start()
            wait_until(self.gate.answers, what="a fresh respgate to serve")

    def once(self, fail_at):
        """One act in which that allocation fails."""
        what = f"allocation {fail_at} of {type(self).__name__}"
        self.start()
        self.prepare()
        self.control.arm(fail_at)
        try:
            self.act()
        except ConnectionError as end:
            assert fail_at, f"{what}: {end}"
        except WireError as end:
            if "in time" in str(end):
                raise Hang(f"{what}: {end}:\n{self.gate.log()[-3000:]}") from end
            assert fail_at and "closed" in str(end), f"{what}: {end}"
        finally:
            seen = self.control.disarm()
        self.judge(what)
        return seen

    def judge(self, what):
        """It serves, or it has ended well."""
        wait_until(lambda: self.gate.exit_code is not None or self.gate.answers(), ANSWER_S,
                   lambda: f"respgate to serve or to end after {what}:\n{self.gate.log()[-3000:]}")
        if self.gate.exit_code is None:
            self.survived += 1
        else:
            self.ended += 1
            self.gate.judge_end(what)

    def finish(self):
        """Who survived must end as if nothing had been."""
        if self.gate is not None and self.gate.exit_code is None:
            self.gate.finish()

    def kill(self):
        """Everything that it started."""
        for process in (self.gate, *self.servers):
            if process is not None:
                process.kill()


class Client(RespConnection):
    """Asks, and knows what may come back."""

    def __init__(self, port):
        super().__init__(port, ANSWER_S)

    def expect(self, right, *args):
        """One command: the right reply (bytes, or a function that tells), or an error. Gives whether it was right."""
        self.command(*args)
        return self.expect_reply(right, args)

    def expect_reply(self, right, about):
        """The next reply, the same way."""
        reply = self.read_reply()
        if right(reply) if callable(right) else reply == right:
            return True
        assert reply.startswith((b"-RG", b"-ERR", b"-NOAUTH", b"-EXECABORT", b"-READONLY")), f"{about}: {reply!r}"
        return False


class Start(Scenario):
    """From exec until clients are served. Each time a process of its own."""

    def __init__(self, directory):
        super().__init__(directory)
        self.redis = self.serve(RedisServer(directory))

    def make_gate(self):
        return FailingGate(self.directory, self.redis.url(), self.control, settings={
            "listen.unix_socket": str(self.directory / "gate.sock"), "limit.api.kind": "gcra",
            "limit.api.rate": "10/1s", "limit.api.burst": 5})

    def once(self, fail_at):
        what = f"allocation {fail_at} of Start"
        self.gate = self.make_gate()
        self.control.arm(fail_at)
        try:
            self.gate.start()
        except AssertionError:
            assert fail_at and self.gate.exit_code is not None, f"{what}:\n{self.gate.log()[-3000:]}"
        if self.gate.exit_code is None:
            self.wait_for_service(what)
        seen = self.control.disarm()
        self.judge(what)
        self.finish()
        return seen

    def wait_for_service(self, what):
        """Until it serves or has ended."""
        wait_until(lambda: self.gate.answers() or self.gate.exit_code is not None, ANSWER_S,
                   lambda: f"{what}: service:\n{self.gate.log()[-3000:]}")


class Handshake(Scenario):
    """A new client, and new connections to a backend over TLS with a password, in another version and database."""

    def __init__(self, directory):
        super().__init__(directory)
        self.redis = self.serve(TlsServer(directory, config={"requirepass": "pw"}))
        self.watcher = self.redis.connect()
        self.watcher.call("AUTH", "pw")

    def make_gate(self):
        return FailingGate(self.directory, self.redis.url(password="pw"), self.control, settings=QUICK,
                           env={"RESPGATE_TLS_CA_FILE": certificates().ca})

    def prepare(self):
        """Its connections are gone, so all are made anew."""
        self.watcher.call("CLIENT", "KILL", "TYPE", "normal")

    def act(self):
        with Client(self.gate.port) as client:
            client.expect(lambda reply: reply.startswith(b"%"), "HELLO", 3)
            client.expect(b"+OK\r\n", "SELECT", 5)
            if client.expect(b"+OK\r\n", "SET", "k", "v"):
                client.expect(b"$1\r\nv\r\n", "GET", "k")
            client.expect(b"+OK\r\n", "SELECT", 0)
            client.expect(b"+PONG\r\n", "PING")


class Pipeline(Scenario):
    """A pipeline, a script, a limit, a transaction with WATCH, a blocking pop, a subscription, a large value: in a
    process that does all of this for the first time, because later it has what it needs."""

    fresh = True

    def __init__(self, directory):
        super().__init__(directory)
        self.redis = self.serve(RedisServer(directory))

    def make_gate(self):
        return FailingGate(self.directory, self.redis.url(), self.control, settings=QUICK)

    def prepare(self):
        self.redis.call("FLUSHALL")

    def act(self):
        with Client(self.gate.port) as client, Client(self.gate.port) as other:
            self.pipeline(client)
            self.transaction(client)
            self.pop(client, other)
            self.subscription(client, other)

    @staticmethod
    def pipeline(client):
        """Replies in their order, none missing."""
        large = b"x" * 40_000
        steps = [((b"SET", b"a", b"1"), b"+OK\r\n"), ((b"ECHO", b"two"), b"$3\r\ntwo\r\n"),
                 ((b"SET", b"big", large), b"+OK\r\n"), ((b"STRLEN", b"none"), b":0\r\n"),
                 ((b"ECHO", large), b"$40000\r\n" + large + b"\r\n"),
                 ((b"EVAL", b"return ARGV[1]", b"0", b"s"), b"$1\r\ns\r\n"),
                 ((b"SEM.ACQUIRE", b"sem", b"5", b"60000", b"t"), lambda reply: reply.startswith(b"*")),
                 ((b"CLIENT", b"SETNAME", b"n"), b"+OK\r\n"), ((b"ECHO", b"last"), b"$4\r\nlast\r\n")]
        client.send(b"".join(encode(*command) for command, _ in steps))
        for command, right in steps:
            client.expect_reply(right, command[:2])

    @staticmethod
    def transaction(client):
        """On a connection of its own."""
        client.expect(b"+OK\r\n", "WATCH", "w")
        client.expect(b"+OK\r\n", "MULTI")
        client.expect(b"+QUEUED\r\n", "INCR", "w")
        client.expect(b"*1\r\n:1\r\n", "EXEC")

    @staticmethod
    def pop(client, other):
        """Who waits gets what another gives, or is told."""
        client.command("BLPOP", "list", 4)
        if other.expect(b":1\r\n", "RPUSH", "list", "x"):
            client.expect_reply(lambda reply: reply in (b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n", b"*-1\r\n"), "BLPOP")

    @staticmethod
    def subscription(client, other):
        """A message that was taken by a subscriber is the one that was sent."""
        if not client.expect(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n", "SUBSCRIBE", "ch"):
            return
        if other.expect(b":1\r\n", "PUBLISH", "ch", "m"):
            client.expect_reply(b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nm\r\n", "SUBSCRIBE")


class Failover(Scenario):
    """The first backend becomes a replica under a client's writes, and later is the first again."""

    def __init__(self, directory):
        super().__init__(directory)
        self.first, self.second = self.serve(RedisServer(directory)), self.serve(RedisServer(directory))

    def make_gate(self):
        env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": self.second.url(),
               "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
        return FailingGate(self.directory, self.first.url(), self.control, settings=QUICK, env=env)

    def prepare(self):
        for server, name in ((self.first, "first"), (self.second, "second")):
            server.call("REPLICAOF", "NO", "ONE")
            server.call("SET", "who", name)
        wait_until(lambda: self.leads_to(b"$5\r\nfirst\r\n"), what="the first backend to be in use")

    def leads_to(self, name):
        """Where a new client ends up."""
        try:
            with Client(self.gate.port) as client:
                client.command("GET", "who")
                return client.read_reply() == name
        except (OSError, WireError):
            return False

    def act(self):
        with Client(self.gate.port) as client:
            client.expect(b"+OK\r\n", "SET", "k", "v")
            self.first.call("REPLICAOF", "127.0.0.1", 1)
            deadline = time.monotonic() + ANSWER_S
            while not client.expect(b"+OK\r\n", "SET", "k", "w"):
                assert time.monotonic() < deadline, f"no switch:\n{self.gate.log()[-3000:]}"
            client.expect(b"$6\r\nsecond\r\n", "GET", "who")


SCENARIOS = {"start": Start, "handshake": Handshake, "pipeline": Pipeline, "failover": Failover}


def run(scenario, most=None, seed=None):
    """Fail each of its allocations, or `most` of them drawn by `seed`; the line that says what came of it."""
    total = scenario.count()
    draw = random.Random(seed)
    chosen = range(1, total + 1) if not most or most >= total else sorted(draw.sample(range(1, total + 1), most))
    scenario.ended = scenario.survived = 0
    for fail_at in chosen:
        scenario.once(fail_at)
    scenario.finish()
    return (f"{type(scenario).__name__.lower()}: {len(chosen)} of {total} allocations failed in turn (seed {seed}): "
            f"survived {scenario.survived}, ended with a reason {scenario.ended}, crashed 0")
