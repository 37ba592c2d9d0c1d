"""RESP2 and RESP3 on a raw socket, written apart from respgate's own parser so that one can disprove the other.

`encode` makes a request, `ReplySplitter` cuts a byte stream into whole replies, `decode` turns one reply into Python
values and `RespConnection` puts the three on a socket. Nothing here hides a byte: `read_reply` returns what arrived.
"""

import socket
import time

LINE_TYPES = b"+-:_,#("
BULK_TYPES = b"$!="
COUNTED_TYPES = b"*~>"


class WireError(AssertionError):
    """The peer broke RESP, or did not answer in time."""


class ErrorReply(str):
    """An error reply as a value: its text without the leading '-'."""

    __slots__ = ()

    @property
    def code(self):
        """The first word, such as WRONGTYPE."""
        return self.split(" ", 1)[0]


class Push(list):
    """A RESP3 push as a value."""


def encode(*args):
    """One request as an array of bulk strings; str becomes UTF-8, numbers their decimal text."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, (bytes, bytearray)) else str(arg).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(out)


class ReplySplitter:
    """Cuts replies from a stream that may arrive in any pieces; never recurses, never rescans a bulk."""

    def __init__(self):
        self.buffer = bytearray()
        self.position = 0  # where the next header of the current reply starts
        self.owed = 1  # values the current reply still lacks

    def feed(self, data):
        """Append what arrived."""
        self.buffer += data

    def take(self):
        """The raw bytes of the next whole reply, or None while it is incomplete."""
        while self.owed:
            if not self.step():
                return None
        reply = bytes(self.buffer[: self.position])
        del self.buffer[: self.position]
        self.position, self.owed = 0, 1
        return reply

    def step(self):
        """Move past one header (and its bulk); False when it has not arrived whole."""
        line_end = self.buffer.find(b"\r\n", self.position)
        if line_end < 0:
            return False
        kind, line = self.buffer[self.position], bytes(self.buffer[self.position + 1 : line_end])
        after, owed = line_end + 2, self.owed - 1
        if kind in BULK_TYPES:
            length = length_of(line, kind)
            if length >= 0:
                after += length + 2
                if len(self.buffer) < after:
                    return False
                if self.buffer[after - 2 : after] != b"\r\n":
                    raise WireError(f"bulk of {length} bytes is not followed by CRLF")
        elif kind in COUNTED_TYPES:
            owed += max(length_of(line, kind), 0)
        elif kind in b"%":
            owed += 2 * length_of(line, kind)
        elif kind in b"|":
            owed += 2 * length_of(line, kind) + 1  # an attribute precedes a value, it is none itself
        elif kind not in LINE_TYPES:
            raise WireError(f"not a reply: {bytes(self.buffer[self.position : self.position + 60])!r}")
        self.position, self.owed = after, owed
        return True


def length_of(line, kind):
    """The number in a header line; -1 (null) is fine for bulks and arrays only."""
    try:
        length = int(line)
    except ValueError:
        raise WireError(f"bad length in {chr(kind)}{line!r}") from None
    if length < (-1 if kind in b"$*" else 0):
        raise WireError(f"bad length in {chr(kind)}{line!r}")
    return length


def decode(raw):
    """The Python value of one raw reply; attributes are dropped."""
    value, end = decode_at(raw, 0)
    if end != len(raw):
        raise WireError(f"{len(raw) - end} bytes after the reply")
    return value


def decode_at(raw, start):
    """The value at `start` and where it ends. Recursion is fine: test replies are shallow."""
    line_end = raw.index(b"\r\n", start)
    kind, line, after = raw[start : start + 1], raw[start + 1 : line_end], line_end + 2
    if kind in SCALARS:
        return SCALARS[kind](line), after
    length = int(line)
    if kind in (b"$", b"!", b"="):
        if length < 0:
            return None, after
        body = raw[after : after + length]
        value = {b"$": lambda: body, b"!": lambda: ErrorReply(body.decode()), b"=": lambda: body[4:]}[kind]()
        return value, after + length + 2
    if length < 0:
        return None, after
    items = []
    for _ in range(2 * length if kind in (b"%", b"|") else length):
        item, after = decode_at(raw, after)
        items.append(item)
    if kind == b"|":
        return decode_at(raw, after)
    if kind == b"%":
        return {hashable(key): value for key, value in zip(items[::2], items[1::2])}, after
    return Push(items) if kind == b">" else items, after


SCALARS = {
    b"+": lambda line: line.decode(),
    b"-": lambda line: ErrorReply(line.decode(errors="surrogateescape")),
    b":": int,
    b"_": lambda line: None,
    b",": float,
    b"#": lambda line: line == b"t",
    b"(": int,
}


def hashable(value):
    """A map key as something a dict accepts."""
    return tuple(map(hashable, value)) if isinstance(value, list) else value


class RespConnection:
    """One client connection. Every read has a deadline; a late reply is a WireError with what did arrive."""

    def __init__(self, address, timeout=10.0):
        """`address` is (host, port), a port on 127.0.0.1, or the path of a unix socket."""
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(address))
        self.timeout = timeout
        self.splitter = ReplySplitter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close; twice is fine."""
        self.socket.close()

    def send(self, data):
        """Send bytes as they are."""
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def command(self, *args):
        """Encode and send one request; does not read."""
        self.send(encode(*args))

    def call(self, *args):
        """Send one request and return its reply as a Python value."""
        self.command(*args)
        return self.read_value()

    def read_reply(self, timeout=None):
        """The raw bytes of exactly one reply or push."""
        deadline = self.deadline(timeout)
        while True:
            reply = self.splitter.take()
            if reply is not None:
                return reply
            if not self.receive(deadline):
                raise WireError(f"closed by the peer; unread: {bytes(self.splitter.buffer[:200])!r}")

    def read_value(self, timeout=None):
        """One reply or push as a Python value; an error reply is an ErrorReply, not an exception."""
        return decode(self.read_reply(timeout))

    def read_bytes(self, count, timeout=None):
        """Exactly `count` bytes, whatever they are."""
        deadline = self.deadline(timeout)
        while len(self.splitter.buffer) < count:
            if not self.receive(deadline):
                raise WireError(f"closed by the peer after {len(self.splitter.buffer)} of {count} bytes")
        data = bytes(self.splitter.buffer[:count])
        del self.splitter.buffer[:count]
        return data

    def at_eof(self, timeout=None):
        """True when the peer closed and nothing is unread, False when bytes are there; waits for either."""
        if not self.splitter.buffer:
            self.receive(self.deadline(timeout))
        return not self.splitter.buffer

    def is_silent(self, seconds):
        """True when neither a byte nor a close arrives for `seconds`: the proof that nothing was answered."""
        if self.splitter.buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            self.splitter.feed(self.socket.recv(65536))
        except socket.timeout:
            return True
        except ConnectionResetError:
            pass
        return False

    def deadline(self, timeout):
        """The clock reading at which a read gives up."""
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def receive(self, deadline):
        """Feed what arrives next; False at end of stream."""
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(1 << 18)
        except socket.timeout:
            raise WireError(f"no whole reply in time; unread: {bytes(self.splitter.buffer[:200])!r}") from None
        except ConnectionResetError:
            return False
        self.splitter.feed(data)
        return bool(data)
