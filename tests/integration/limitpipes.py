"""Clients that send limiter commands in pipelines and know what every single reply must look like.

Each command carries a number of its own that its reply repeats (the limit of a rate, the step of an INCREX, the text of
an ECHO), so a reply that is lost, doubled, of another type or in another place is seen at once. Errors of respgate's own
are counted by their code; any other error, NOSCRIPT above all, is wrong.
"""

import random
import threading

from wire import ErrorReply, RespConnection, WireError, encode

OWN_ERRORS = ("RGUNAVAIL", "RGUNKNOWN", "RGSTATE")
BATCH = 24


def is_list(length, at, number):
    """A reply of so many integers, the one at that index being this number."""
    return lambda reply: (isinstance(reply, list) and len(reply) == length and reply[at] == number
                          and all(isinstance(field, int) for field in reply))


def is_value(value):
    """Exactly this."""
    return lambda reply: type(reply) is type(value) and reply == value  # noqa: E721 (an error is a str, too)


def is_count(reply):
    """How many it were: one or none."""
    return type(reply) is int and reply in (0, 1)


class Pipes(threading.Thread):
    """One client. `stop()` ends it and gives up its results; `wrong` is empty when all was as it must be."""

    def __init__(self, port, name, seed):
        super().__init__(daemon=True)
        self.port, self.key, self.rng = port, name, random.Random(seed)
        self.number = 0
        self.over = threading.Event()
        self.seen = dict.fromkeys(("replied", "closed", *OWN_ERRORS), 0)
        self.added = 0  # by each INCREX that was answered
        self.wrong = []
        self.start()

    def some_commands(self):
        """Pairs of a command and what judges its reply; several go together."""
        self.number += 1
        n, key = 1000000 + self.number, self.key
        return self.rng.choice((
            [(("ECHO", f"{key} {n}"), is_value(f"{key} {n}".encode()))],
            [(("LIM.GCRA", f"g:{key}", n, n, 1000), is_list(8, 1, n))],
            [(("LIM.WINDOW", f"w:{key}", n, 100), is_list(8, 1, n))],
            [(("LIM.SLIDE", f"s:{key}", n, 100), is_list(8, 1, n))],
            [(("LIM.SLIDE", f"l:{key}", n, 100, "LOG"), is_list(8, 1, n))],
            [(("CL.THROTTLE", f"t:{key}", n, n, 60), is_list(5, 1, n + 1))],
            [(("INCREX", f"i:{key}", "BYINT", n), is_list(2, 1, n))],
            [(("SEM.ACQUIRE", "sem", n, 100, f"{key}-{n}"), is_list(10, 2, n)),
             (("SEM.RELEASE", "sem", f"{key}-{n}"), is_count)],
            [(("MULTI",), is_value("OK")), (("LIM.GCRA", f"g:{key}", n, n, 1000), is_value("QUEUED")),
             (("EXEC",), lambda reply: isinstance(reply, list) and len(reply) == 1 and is_list(8, 1, n)(reply[0]))],
        ))

    def run(self):
        """Until stop(); a connection that is closed is made anew."""
        while not self.over.is_set():
            try:
                with RespConnection(("127.0.0.1", self.port), 20) as connection:
                    while not self.over.is_set():
                        self.play(connection)
            except (WireError, OSError) as failure:
                self.seen["closed"] += 1
                if "closed by the peer" not in str(failure):
                    self.wrong.append(repr(failure))
                    return

    def play(self, connection):
        """One pipeline."""
        batch = [pair for _ in range(BATCH) for pair in self.some_commands()]
        connection.send(b"".join(encode(*command) for command, _ in batch))
        for command, is_right in batch:
            reply = connection.read_value()
            if isinstance(reply, ErrorReply) and reply.code in OWN_ERRORS:
                self.seen[reply.code] += 1
                continue
            self.seen["replied"] += 1
            if not is_right(reply):
                self.wrong.append(f"{command}: {reply!r}"[:300])
            elif command[0] == "INCREX":
                self.added += command[3]

    def stop(self):
        """End it."""
        self.over.set()
        self.join(30)
        assert not self.is_alive(), "a client still waits for a reply"
        return self


def summed(clients):
    """What all of them saw."""
    return {name: sum(client.seen[name] for client in clients) for name in clients[0].seen}
