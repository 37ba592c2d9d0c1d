"""Values of hundreds of megabytes, made and checked piece by piece: neither end of a test holds one whole."""

import hashlib

PIECE_LEN = 1 << 20
FILLING = bytes(range(256)) * (PIECE_LEN // 256)


def piece(number, length=PIECE_LEN):
    """Piece `number` of the test value: no two are alike, so a lost or a doubled one shows."""
    stamp = b"%016d" % number
    return (stamp + FILLING[len(stamp):])[:length]


def pieces(length):
    """The test value of `length` bytes."""
    for number, start in enumerate(range(0, length, PIECE_LEN)):
        yield piece(number, min(PIECE_LEN, length - start))


def digest_of(length):
    """SHA-256 of the test value of `length` bytes."""
    digest = hashlib.sha256()
    for part in pieces(length):
        digest.update(part)
    return digest.hexdigest()


def set_header(key, length):
    """SET key, up to the first byte of its value."""
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key.encode(), length)


def set_value(connection, key, length):
    """SET key to the test value; returns the reply."""
    connection.send(set_header(key, length))
    for part in pieces(length):
        connection.send(part)
    connection.send(b"\r\n")
    return connection.read_value()


class BulkReader:
    """Reads one bulk reply from a RespConnection at the pace of its user and keeps its SHA-256, not its bytes."""

    def __init__(self, connection):
        self.socket = connection.socket
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.receive(1)
        assert line[:1] == b"$", f"not a bulk: {line!r}"
        self.length = self.left = int(line[1:])
        self.digest = hashlib.sha256()

    def receive(self, most):
        """At least one byte."""
        data = self.socket.recv(most)
        assert data, "closed within the reply"
        return data

    def read(self, count):
        """The next `count` bytes, or what is left."""
        count = min(count, self.left)
        self.left -= count
        while count:
            data = self.receive(min(count, PIECE_LEN))
            self.digest.update(data)
            count -= len(data)

    def finish(self):
        """The rest and the line end; the digest of all."""
        self.read(self.left)
        end = self.receive(2)
        assert (end if len(end) == 2 else end + self.receive(1)) == b"\r\n"
        return self.digest.hexdigest()
