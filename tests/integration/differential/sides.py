"""Runs a case against one side (Redis itself, or respgate in front of it) and keeps every byte that came back."""

import re

from differential.script import Step, resolve
from differential.variations import KEYSPACE, variations
from harness import wait_until
from wire import WireError, encode

QUIT = Step("/", text="QUIT")
MOMENT = 0.3  # seconds in which a peer on loopback closes, if it is going to


class Transcript:
    """What one side answered: [(what was sent, its command, allowed exceptions, raw reply)]."""

    def __init__(self):
        self.replies = []
        self.broken = None

    def add(self, sent, row, allowed, raw):
        """Keep one reply."""
        self.replies.append((sent, row, allowed, raw))


class Control:
    """A connection straight to the server, to prepare it and to look at it."""

    def __init__(self, server, login=()):
        self.connection = server.connect()
        if login:
            assert self.connection.call("AUTH", *login) == "OK"
        self.rows = {name.decode() for name in self.connection.call("COMMAND", "LIST")}
        # A table of subcommands that grew at start is moved bucket by bucket as they are looked up, which changes their
        # order in COMMAND: here, and not between two replies that are compared.
        for container in sorted({name.split("|")[0] for name in self.rows if "|" in name}):
            self.pipeline([(container, "HELP")] * 64)
        self.fresh = [[b"FLUSHALL"], [b"FUNCTION", b"FLUSH"], [b"SLOWLOG", b"RESET"], [b"ACL", b"LOG", b"RESET"],
                      [b"LATENCY", b"RESET"], *KEYSPACE]

    def pipeline(self, commands):
        """Several commands in one write, their values."""
        self.connection.send(b"".join(encode(*command) for command in commands))
        return [self.connection.read_value() for _ in commands]

    def prepare(self):
        """The same server state before each case."""
        wait_until(self.settled, what="what the last case left behind to end")
        bad = [value for value in self.pipeline(self.fresh) if isinstance(value, str) and value.startswith("ERR")]
        assert not bad, bad

    def blocked(self):
        """How many clients wait for something."""
        return int(re.search(rb"blocked_clients:(\d+)", self.connection.call("INFO", "clients"))[1])

    def library(self, name):
        """FUNCTION DUMP of a library that is gone again."""
        code = f"#!lua name=lib\nredis.register_function('{name}', function() return 1 end)"
        commands = [["FUNCTION", "LOAD", code], ["FUNCTION", "DUMP"], ["FUNCTION", "FLUSH"]]
        return self.pipeline(commands)[1]

    def settled(self):
        """Whether no subscriber is left and nothing is saved in the background."""
        subscribers, saving = self.pipeline([[b"CLIENT", b"LIST", b"TYPE", b"pubsub"], [b"INFO", b"persistence"]])
        return not subscribers and b"progress:1" not in saving

    def row(self, command):
        """The name of a command as COMMAND LIST has it ("client|kill"); an unknown one is "?"."""
        name = command[0].lower().decode(errors="replace")
        sub = command[1].lower().decode(errors="replace") if len(command) > 1 else ""
        if f"{name}|{sub}" in self.rows:
            return f"{name}|{sub}"
        return name if name in self.rows else "?"


class Side:
    """One address with clients on it."""

    def __init__(self, target, control):
        self.target, self.control = target, control

    def run(self, case, protocol):
        """The transcript of a case."""
        self.control.prepare()
        return Run(self, protocol, case.needs_ids).case(case)


class Run:
    """One case in progress: its connections and its transcript."""

    def __init__(self, side, protocol, needs_ids):
        self.side, self.protocol, self.needs_ids = side, protocol, needs_ids
        self.connections, self.ids = {}, {}
        self.transcript = Transcript()

    def case(self, case):
        """Run to the end; a peer that stops answering breaks off and is noted."""
        try:
            for step in case.steps:
                self.step(step)
            if case.varied:
                self.vary(case.steps[0])
            for connection in self.connections.values():
                self.leave(connection)
        except (WireError, OSError) as failure:
            self.transcript.broken = f"{type(failure).__name__}: {failure}"
        finally:
            for connection in self.connections.values():
                connection.close()
        return self.transcript

    def connection(self, name):
        """The connection called so, opened at its first use."""
        if name not in self.connections:
            connection = self.side.target.connect(timeout=5.0)
            self.connections[name] = connection
            if self.protocol == 3:
                connection.call("HELLO", "3")
            if self.needs_ids:
                self.ids[name] = connection.call("CLIENT", "ID")
        return self.connections[name]

    def look_up(self, kind, name):
        """The value of a placeholder on this side."""
        if kind == "dump":
            return self.side.control.connection.call("DUMP", name)
        if kind == "library":
            return self.side.control.library(name)
        self.connection(name)
        return b"%d" % self.ids[name]

    def step(self, step):
        """One line of the case."""
        if step.connection == "*":
            self.behind(step)
            return
        commands = [[resolve(word, self.look_up) for word in command] for command in step.commands]
        connection = self.connection(step.connection)
        if step.kind in "!/?":
            if step.kind != "!":
                self.read_to_end(connection, step)
            connection.close()
            del self.connections[step.connection]
        else:
            connection.send(step.raw or b"".join(encode(*command) for command in commands))
            self.read(connection, step.expect, commands, step)

    def behind(self, step):
        """A line that goes to the server itself."""
        control = self.side.control
        if step.kind == "~":
            wait_until(lambda: control.blocked() == step.expect, what=f"{step.expect} blocked clients")
        else:
            control.pipeline(step.commands)

    def read(self, connection, count, commands, step=None):
        """Read replies; the n-th belongs to the n-th command, further ones to the last."""
        allowed = step.allowed if step else ()
        for i in range(count):
            command = commands[min(i, len(commands) - 1)] if commands else []
            row = self.side.control.row(command) if command else "?"
            sent = shown(command) if command else step.text
            self.transcript.add(sent, row, allowed, connection.read_reply())

    def vary(self, step):
        """All variations of the case's command, in one write."""
        commands = list(variations([resolve(word, self.look_up) for word in step.commands[0]]))
        connection = self.connection("a")
        connection.send(b"".join(encode(*command) for command in commands))
        self.read(connection, len(commands), commands)

    def leave(self, connection):
        """QUIT, and keep whatever else comes until the peer has closed."""
        connection.command("QUIT")
        self.read_to_end(connection, QUIT)

    def read_to_end(self, connection, step):
        """All bytes until the peer closes; for "?" it need not."""
        deadline, end = connection.deadline(MOMENT if step.kind == "?" else None), b"<closed>"
        try:
            while connection.receive(deadline):
                pass
        except WireError:
            if step.kind != "?":
                raise
            end = b"<open>"
        self.transcript.add(step.text, "?", step.allowed, bytes(connection.splitter.buffer) + end)


def shown(command):
    """A command for people."""
    return " ".join(repr(word)[2:-1] or '""' for word in (word[:80] for word in command))
