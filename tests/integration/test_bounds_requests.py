"""Requests that are too much: counts, lines, arguments, buffers, depth. What is announced costs nothing until it comes."""

import pytest

from bounds import KIB, MIB, forget_peak, memory, peak
from harness import ErrorReply, encode, wait_until
from taken import is_taken

CLIENTS = 200
SILENT_MAX = 4 * KIB  # each
PROTOCOL_ERROR = b"-ERR Protocol error: "


def refused(connection, request):
    """What is answered before the connection is closed. The kernel may refuse to take all of the request."""
    try:
        connection.send(request)
    except ConnectionError:
        pass
    reply = connection.read_reply()
    assert connection.at_eof()
    return reply


@pytest.mark.parametrize("request_bytes, words, as_redis", [
    (b"*1048577\r\n", b"invalid multibulk length", False),  # Redis 7.0 would take 2^31-1 of them
    (b"*1000000000\r\n", b"invalid multibulk length", False),
    (b"*2147483648\r\n", b"invalid multibulk length", True),
    (b"*1\r\n$536870913\r\n", b"invalid bulk length", True),
    (b"G" * 65 * KIB, b"too big inline request", True),
    (b"G" * 65 * KIB + b"\r\n", b"too big inline request", False),  # Redis takes it when it comes in one piece
    (b"*" + b"1" * 65 * KIB, b"too big mbulk count string", True),
    (b"*1\r\n$" + b"1" * 65 * KIB, b"too big bulk count string", True),
], ids=["args", "many-args", "2^31-args", "bulk", "inline-open", "inline", "count-open", "bulk-count-open"])
def test_what_is_too_much_is_refused_in_the_words_of_redis(respgate, redis_server, request_bytes, words, as_redis):
    """The same bytes sent to both, where both refuse them."""
    with respgate.connect() as client:
        assert refused(client, request_bytes) == PROTOCOL_ERROR + words + b"\r\n"
    if as_redis:
        with redis_server.connect() as direct:
            assert refused(direct, request_bytes) == PROTOCOL_ERROR + words + b"\r\n"


def test_the_most_arguments_pass(respgate):
    """1,048,576 of them, one short of too many, as one command."""
    with respgate.connect(30) as client:
        assert client.call("DEL", *["k"] * (1024 * 1024 - 1)) == 0
        assert client.call("RPUSH", "list", *["v"] * (1024 * 1024 - 2)) == 1024 * 1024 - 2


def test_max_args_and_max_bulk_are_options(start_respgate, redis_server):
    """What they allow passes, one more is refused."""
    gate = start_respgate(redis_server, settings={"listen.max_args": 10, "listen.max_bulk": "1KiB"})
    with gate.connect() as client:
        assert client.call("DEL", *"123456789") == 0
        assert client.call("SET", "k", "v" * KIB) == "OK"
        assert refused(client, encode("SET", "k", "v" * (KIB + 1))) == PROTOCOL_ERROR + b"invalid bulk length\r\n"
    with gate.connect() as client:
        assert refused(client, encode("DEL", *"123456789a")) == PROTOCOL_ERROR + b"invalid multibulk length\r\n"


@pytest.mark.figures
@pytest.mark.parametrize("request_bytes", [b"*1048576\r\n", b"*1048576\r\n$3\r\nDEL\r\n$536870912\r\n",
                                           b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n", b"PING"],
                         ids=["arguments", "argument", "value", "line"])
def test_what_is_announced_and_never_comes_costs_nothing(respgate, figure, request_bytes):
    """Huge counts, then silence."""
    connections = [respgate.connect() for _ in range(CLIENTS)]
    for connection in connections:
        assert connection.call("PING") == "PONG"
    base = memory(respgate.pid)
    for connection in connections:
        connection.send(request_bytes)
    for connection in connections:
        wait_until(lambda sock=connection.socket: is_taken(sock), what="respgate to read it")
    cost = (memory(respgate.pid) - base) / CLIENTS
    figure(f"{request_bytes[:40]!r} then silence: {cost:.0f} bytes a client (at most {SILENT_MAX})")
    assert cost <= SILENT_MAX


@pytest.mark.figures
def test_an_endless_line_costs_what_was_received(respgate, figure):
    """64 KiB of an inline command without its end are held, and not much more; the next byte ends it."""
    count = 50
    connections = [respgate.connect() for _ in range(count)]
    for connection in connections:
        connection.call("PING")
    base = forget_peak(respgate.pid)
    for connection in connections:
        connection.send(b"G" * 64 * KIB)
        wait_until(lambda sock=connection.socket: is_taken(sock), what="respgate to read it")
    cost = (peak(respgate.pid) - base) / count
    figure(f"64 KiB of a line without its end: {cost / KIB:.0f} KiB (at most {2 * 64 + 64})")
    assert cost <= (2 * 64 + 64) * KIB
    assert connections[0].is_silent(0.05)
    assert refused(connections[0], b"G") == PROTOCOL_ERROR + b"too big inline request\r\n"


@pytest.mark.figures
def test_the_query_buffer_bounds_what_must_be_held(start_respgate, redis_server, figure):
    """A command that is answered here has to be whole: it is refused above query_buffer, and its client closed."""
    gate = start_respgate(redis_server, settings={"listen.query_buffer": "256KiB"})
    with gate.connect() as client:
        base = forget_peak(gate.pid)
        refusal = refused(client, encode("CLIENT", "SETNAME", "n" * 10 * MIB))
        extra = peak(gate.pid) - base
    assert refusal == b"-RGLIMIT command is too large to be answered here\r\n"
    figure(f"10 MiB of a command that is answered here, query_buffer 256 KiB: {extra / KIB:.0f} KiB (at most 1024)")
    assert extra <= MIB
    with gate.connect() as client:
        assert client.call("SET", "k", "v" * 10 * MIB) == "OK"  # what goes on to the backend is not held


def test_a_pipeline_beyond_its_depth_is_answered_in_order(start_respgate, redis_server):
    """pipeline_depth is a bound for what is in flight, not for what may be sent."""
    gate = start_respgate(redis_server, settings={"listen.pipeline_depth": 1})
    with gate.connect() as client:
        client.send(b"".join(encode("ECHO", str(i)) for i in range(2000)))
        assert [client.read_value() for _ in range(2000)] == [b"%d" % i for i in range(2000)]


def test_what_is_behind_an_error_is_not_run(respgate, redis_server):
    """The replies before it come first."""
    with respgate.connect() as client:
        client.send(encode("SET", "a", "1") + b"*1048577\r\n" + encode("SET", "b", "1"))
        assert client.read_value() == "OK"
        assert isinstance(client.read_value(), ErrorReply)
        assert client.at_eof()
    assert redis_server.call("EXISTS", "a", "b") == 1
