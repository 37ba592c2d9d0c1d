"""A client that stops in the middle of a 300 MB value: others do not notice, nothing is held, half a SET is no SET."""

import contextlib
import itertools
import re
import socket
import struct

import pytest

from bounds import KIB, MIB, PATIENT, FastClients, compare, forget_peak, peak
from bulks import BulkReader, digest_of, pieces, set_header
from harness import wait_until

LARGE = 300 * MIB
HALF = LARGE // 2
EXTRA_MAX = 2 * MIB


def half_values(redis_server):
    """How many connections of the backend have taken exactly the half that was sent, and wait for more."""
    return len(re.findall(rf"\bqbuf={HALF}\b", redis_server.call("CLIENT", "LIST").decode()))


def send_half(client, redis_server):
    """Send the first half of SET large and wait until Redis has all of it; returns the pieces that are left."""
    left = pieces(LARGE)
    client.send(set_header("large", LARGE))
    for part in itertools.islice(left, HALF // MIB):
        client.send(part)
    wait_until(lambda: half_values(redis_server) == 1, what="the backend to have half of the value")
    return left


def send_rest(client, left):
    """The other half; the SET succeeds."""
    for part in left:
        client.send(part)
    client.send(b"\r\n")
    assert client.read_value() == "OK"


@contextlib.contextmanager
def stalled_client(gate, redis_server):
    """A client in the middle of its SET, which goes on in the end."""
    with gate.connect(30) as client:
        left = send_half(client, redis_server)
        yield
        send_rest(client, left)


def value_digest(redis_server):
    """SHA-256 of what is set, read from Redis directly."""
    with redis_server.connect(30) as direct:
        direct.command("GET", "large")
        return BulkReader(direct).finish()


@pytest.mark.figures
def test_others_do_not_notice_who_stalls(respgate, redis_server, figure):
    """p99 at most doubles, respgate grows by less than 2 MiB, the value is right when it is whole."""
    with FastClients(respgate, redis_server) as fast:
        base = forget_peak(respgate.pid)
        compare(figure, "a stalled sender of 300 MB", fast, lambda: stalled_client(respgate, redis_server))
        extra = peak(respgate.pid) - base
    assert value_digest(redis_server) == digest_of(LARGE)
    figure(f"a stalled sender of 300 MB costs {extra / KIB:.0f} KiB (at most {EXTRA_MAX / KIB:.0f})")
    assert extra <= EXTRA_MAX


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_half_a_set_sets_nothing(respgate, redis_server, how):
    """Who leaves in the middle leaves nothing behind: no value, and no connection in the middle of a command."""
    redis_server.call("SET", "large", "before")
    with respgate.connect(30) as client, respgate.connect() as other:
        send_half(client, redis_server)
        leave(client.socket, how)
        wait_until(lambda: half_values(redis_server) == 0, what="the backend connection to be closed")
        assert other.call("GET", "large") == b"before"
        if how == "half-close":
            assert client.at_eof()


def leave(sock, how):
    """The three ways a client can go."""
    if how == "half-close":
        sock.shutdown(socket.SHUT_WR)
        return
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_lost_backend_ends_a_half_sent_set(start_respgate, start_redis):
    """The client is told, and is closed: what it still sends is no command."""
    redis_server = start_redis()
    gate = start_respgate(redis_server, settings=PATIENT)
    with gate.connect(30) as client:
        send_half(client, redis_server)
        victim = re.search(rf"^id=(\d+) .* qbuf={HALF} ", redis_server.call("CLIENT", "LIST").decode(), re.MULTILINE)
        assert redis_server.call("CLIENT", "KILL", "ID", victim[1]) == 1
        assert client.read_value().code in ("RGUNKNOWN", "RGSTATE")
        assert client.at_eof()
    assert redis_server.call("EXISTS", "large") == 0
