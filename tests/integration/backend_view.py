"""What a Redis says about itself, asked on a connection of its own, and one script played to Redis and to respgate.

A test sees here that a command has arrived (CLIENT LIST, INFO) instead of sleeping until it must have. `played` is the
yardstick of transparency: the bytes that come back for the same bytes, from Redis directly and through respgate.
"""

from harness import encode, wait_until
from taken import send_in_pieces

MARK = b"that-was-all"


def client_lines(text):
    """CLIENT LIST as one dict per client."""
    return [dict(field.partition("=")[::2] for field in line.split(" ")) for line in text.decode().splitlines()]


def backend_clients(server):
    """The connections a Redis has, but for the one that asks and those that only check whether it is there."""
    return [line for line in client_lines(server.call("CLIENT", "LIST"))
            if line["cmd"] != "client|list" and line["name"] != "respgate-probe"]


def backend_ids(server):
    """Their ids: a connection that stays keeps its own."""
    return {line["id"] for line in backend_clients(server)}


def with_command(server, name):
    """The connections whose last command was this one, written as CLIENT LIST does: get, client|id."""
    return [line for line in backend_clients(server) if line["cmd"] == name]


def wait_command(server, name, count=1):
    """Wait until so many connections have sent this as their last command; returns them."""
    def seen():
        lines = with_command(server, name)
        return lines if len(lines) == count else None
    return wait_until(seen, what=lambda: f"{count} of {name}: {backend_clients(server)}")


def blocked(server):
    """How many connections wait in a blocking command."""
    return sum("b" in line["flags"] for line in backend_clients(server))


def wait_blocked(server, count):
    """Wait until exactly so many connections wait in a blocking command."""
    wait_until(lambda: blocked(server) == count, what=lambda: f"{count} blocked: {backend_clients(server)}")


def command_calls(server):
    """How often each command has run, by INFO commandstats."""
    calls = {}
    for line in server.call("INFO", "commandstats").decode().splitlines():
        if line.startswith("cmdstat_"):
            name, _, counts = line[len("cmdstat_"):].partition(":")
            calls[name] = int(counts.split(",")[0].partition("=")[2])
    return calls


def info(server, section):
    """One section of INFO as a dict of text."""
    lines = server.call("INFO", section).decode().splitlines()
    return dict(line.partition(":")[::2] for line in lines if ":" in line)


def read_until_mark(connection):
    """All bytes that come, up to and without the reply to PING with MARK (bulk, or an array while subscribed)."""
    tails = (encode("pong", MARK), b"$%d\r\n%b\r\n" % (len(MARK), MARK))
    deadline = connection.deadline(None)
    buffer = connection.splitter.buffer
    while True:
        tail = next((tail for tail in tails if buffer.endswith(tail)), None)
        if tail:
            data = bytes(buffer[: -len(tail)])
            del buffer[:]
            return data
        if not connection.receive(deadline):
            return bytes(buffer) + b"<closed>"


def play(connection, *commands, together=True):
    """Send commands (tuples, or raw bytes) and PING MARK; returns what came back before it.

    `together`: in one write. Otherwise each once the one before it was read.
    """
    pieces = [item if isinstance(item, bytes) else encode(*item) for item in (*commands, ("PING", MARK))]
    send_in_pieces(connection.socket, [b"".join(pieces)] if together else pieces)
    return read_until_mark(connection)


def played(server, gate, *commands, together=True):
    """The same script on a fresh connection to Redis, then (with an empty Redis again) on one to respgate."""
    answers = []
    for peer in (server, gate):
        server.call("FLUSHALL")
        with peer.connect() as connection:
            answers.append(play(connection, *commands, together=together))
    return answers
