"""Clients that write everything before they read: each reply comes, in order and whole, and respgate holds little."""

import pytest

from bounds import KIB, MIB, PATIENT, FastClients, backend_holds, closed_within, forget_peak, peak, settled
from harness import encode

KEYS = 1000
EXTRA_MAX = 2 * MIB


def requests_and_replies(redis_server, count, size):
    """`count` GETs of KEYS different values, one in KEYS of a list, which is an error; and the replies to them."""
    values = [(b"%05d" % key + b"v" * size)[:size] for key in range(KEYS)]
    with redis_server.connect() as direct:
        for key, value in enumerate(values):
            direct.call("SET", f"k{key}", value)
        direct.call("DEL", "k0")
        direct.call("RPUSH", "k0", "not a string")
        direct.command("GET", "k0")
        replies = [direct.read_reply()] + [b"$%d\r\n%b\r\n" % (size, value) for value in values[1:]]
    assert replies[0].startswith(b"-WRONGTYPE")
    requests = b"".join(encode("GET", f"k{key}") for key in range(KEYS))
    return requests * (count // KEYS), b"".join(replies) * (count // KEYS)


def assert_same_stream(connection, expected):
    """Read exactly the expected bytes, and say where the first other one is."""
    seen = 0
    while seen < len(expected):
        data = connection.socket.recv(MIB)
        assert data, f"closed after {seen} of {len(expected)} bytes"
        if data != expected[seen:seen + len(data)]:
            first = next(i for i, byte in enumerate(data) if byte != expected[seen + i])
            raise AssertionError(f"at {seen + first}: {data[first:first + 80]!r}")
        seen += len(data)


@pytest.mark.figures
@pytest.mark.parametrize("count, size", [(1_000_000, 5), (100_000, 1000)], ids=["1000000-small", "100000-of-1KB"])
def test_who_writes_all_before_reading_gets_each_reply(respgate, redis_server, figure, count, size):
    """As with Redis directly, which keeps the replies; it still does."""
    requests, replies = requests_and_replies(redis_server, count, size)
    with respgate.connect(30) as client:
        assert client.call("PING") == "PONG"
        base = forget_peak(respgate.pid)
        client.send(requests)
        assert_same_stream(client, replies)
        extra = peak(respgate.pid) - base
        assert client.call("CLIENT", "GETNAME") is None  # it has a session like any other
    figure(f"{count} GETs of {size} bytes written before the first is read: {extra / KIB:.0f} KiB"
           f" (at most {EXTRA_MAX / KIB:.0f})")
    assert extra <= EXTRA_MAX


@pytest.mark.figures
def test_it_does_beside_others_whose_requests_lie_between(respgate, redis_server, figure):
    """The connection it starts on is shared with fast clients, who go on."""
    requests, replies = requests_and_replies(redis_server, 100_000, 1000)
    with FastClients(respgate, redis_server, requests=20_000) as fast, respgate.connect(30) as client:
        base = forget_peak(respgate.pid)
        fast.begin()
        client.send(requests)
        window = fast.end()
        assert_same_stream(client, replies)
        extra = peak(respgate.pid) - base
    figure(f"100000 GETs of 1000 bytes beside fast clients: {extra / KIB:.0f} KiB (at most {EXTRA_MAX / KIB:.0f}),"
           f" others wait {window['max_us'] / 1000:.0f} ms at most (1000 are allowed)")
    assert extra <= EXTRA_MAX and window["max_us"] < 1e6


@pytest.mark.figures
def test_who_never_reads_is_closed_and_costs_little(start_respgate, redis_server, figure):
    """A million requests, not one reply read: nothing is held for it but its reply buffer."""
    gate = start_respgate(redis_server, settings={**PATIENT, "listen.slow_client_timeout": "1s"})
    requests, _ = requests_and_replies(redis_server, 1_000_000, 100)
    with gate.connect(30) as client:
        base = forget_peak(gate.pid)
        try:
            client.send(requests)
        except ConnectionError:
            pass  # it may be closed before all is written
        gate.wait_for_log("does not read its replies", timeout=20)
        assert closed_within(client.socket, 5)
    extra = peak(gate.pid) - base
    figure(f"1000000 GETs by a client that never reads: {extra / KIB:.0f} KiB (at most {EXTRA_MAX / KIB:.0f})")
    assert extra <= EXTRA_MAX


def read_to_the_end(sock):
    """All that comes until the peer closes, be it with a reset."""
    data = bytearray()
    try:
        while chunk := sock.recv(MIB):
            data += chunk
    except ConnectionResetError:
        pass
    return bytes(data)


def test_a_backend_lost_in_a_deep_pipeline_ends_it(respgate, redis_server):
    """The replies that came are right, at most one error follows, then the end: the rest is not answered by guesses."""
    requests, replies = requests_and_replies(redis_server, 200_000, 1000)
    with respgate.connect(30) as client, respgate.connect() as other:
        client.send(requests)
        settled(lambda: backend_holds(redis_server))
        redis_server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        data = read_to_the_end(client.socket)
        assert other.call("PING") == "PONG"
    whole, error, rest = data.partition(b"-RGUNKNOWN")
    assert len(whole) < len(replies) and whole == replies[:len(whole)]
    assert not error or rest.find(b"\r\n") == len(rest) - 2


def test_transactions_written_before_the_first_is_read(respgate):
    """Whole MULTI ... EXEC blocks in one go."""
    count = 20_000
    block = encode("MULTI") + encode("INCR", "counter") + encode("EXEC")
    with respgate.connect(30) as client:
        client.send(block * count)
        assert_same_stream(client, b"".join(b"+OK\r\n+QUEUED\r\n*1\r\n:%d\r\n" % i for i in range(1, count + 1)))


@pytest.mark.figures
@pytest.mark.parametrize("command, auth", [(("CLIENT", "LIST"), "none"), (("GET", "key"), "password")],
                         ids=["answered-here", "refused-before-login"])
def test_answers_from_here_are_bounded_as_well(start_respgate, redis_server, figure, command, auth):
    """What needs no backend is not answered without end to who does not read."""
    settings = {"listen.slow_client_timeout": "500ms", "listen.auth": auth}
    if auth == "password":
        settings["listen.password"] = "secret"
    gate = start_respgate(redis_server, settings={**PATIENT, **settings})
    with gate.connect(30) as client:
        base = forget_peak(gate.pid)
        try:
            client.send(encode(*command) * 1_000_000)
        except ConnectionError:
            pass
        gate.wait_for_log("does not read its replies", timeout=20)
    extra = peak(gate.pid) - base
    figure(f"1000000 times {' '.join(command)}, answered here, never read: {extra / KIB:.0f} KiB"
           f" (at most {EXTRA_MAX / KIB:.0f})")
    assert extra <= EXTRA_MAX
