"""A backend that misbehaves: no client gets another's bytes, a truncated value or a byte too much, and no byte of a
client reaches a connection that was not proven to be in step.

The backend is a scripted fake Redis that logs every byte it gets.
"""

import socket
import struct
import sys

import pytest

from harness import ROOT, wait_until
from taken import handed_to, is_taken, wait_taken
from wire import WireError, encode

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import Early, FakeRedis, close_after, hold, hold_login, reply, reset_after, silence  # noqa: E402

X = b"$1\r\nx\r\n"
MEGABYTE = b"$1000000\r\n" + b"v" * 1_000_000 + b"\r\n"


@pytest.fixture
def fake():
    """A fake Redis that answers GET with x."""
    with FakeRedis() as started:
        started.on("GET", reply(X))
        yield started


@pytest.fixture
def gate(fake, start_respgate):
    """respgate with one shared connection to it."""
    return start_respgate(fake.url(), settings={"log.level": "debug"})


def gets(fake):
    """How many GET have reached the fake."""
    return sum(connection.names().count("GET") for connection in fake.connections)


def serves(client):
    """The connection works and is in step."""
    client.command("GET", "k")
    return client.read_reply() == X


def vanish(client):
    """End a client's connection without a goodbye: RST."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


# ---- replies that nobody asked for ----

@pytest.mark.parametrize("stray", [b"+stray\r\n", X, b"-ERR stray\r\n", b"*1\r\n:1\r\n"])
def test_a_stray_reply_ends_the_lane_and_harms_no_client(fake, gate, stray):
    one, two = gate.connect(), gate.connect()
    assert serves(one) and serves(two)
    lane = fake.with_command("GET", 2)
    lane.send(stray)
    wait_until(lambda: lane.closed, what="the lane to be closed")
    assert serves(one) and serves(two)
    assert one.is_silent(0.1) and two.is_silent(0.1)
    assert "stray reply" in gate.log()


def test_a_reply_to_a_request_that_was_not_sent_yet_is_stray(fake, gate):
    client = gate.connect(timeout=2)
    assert serves(client)
    lane = fake.with_command("GET")
    fake.on("SET", silence())
    request = encode("SET", "k", "v" * 50_000)
    fake.may_read.clear()
    with pytest.raises(socket.timeout):
        client.send(request * 1000)  # far more than sockets and the proxy hold
    begun = handed_to(lane.socket) // len(request) + 1
    lane.send(b"+OK\r\n" * 1000)
    gate.wait_for_log("stray reply")
    fake.on("SET", reply(b"-ERR on another connection\r\n"))
    fake.may_read.set()
    answered = 0
    while client.read_reply() == b"+OK\r\n":
        answered += 1
    assert answered <= begun, "the proxy took a reply for that to a request which it had not sent"


def test_a_reply_that_comes_twice_is_delivered_once(fake, gate):
    one, two = gate.connect(), gate.connect()
    fake.once("GET", reply(X + b"$5\r\ntwice\r\n"))
    one.command("GET", "k")
    assert one.read_reply() == X
    wait_until(lambda: fake.with_command("GET").closed, what="the lane to be closed")
    assert serves(one) and serves(two)


def test_the_reply_to_a_client_that_left_goes_to_nobody(fake, gate):
    one, two = gate.connect(), gate.connect()
    fake.once("GET", hold(b"$4\r\nlate\r\n"))
    one.command("GET", "k")
    fake.wait_held()
    one.close()
    two.command("GET", "k")
    fake.with_command("GET", 2)
    fake.release()
    assert two.read_reply() == X
    assert serves(two)


SESSION = [(("MULTI",), b"+OK\r\n"), (("WATCH", "k"), b"+OK\r\n"), (("MONITOR",), b"+OK\r\n"),
           (("SUBSCRIBE", "c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")]


@pytest.mark.parametrize("command,answer", SESSION, ids=[command[0] for command, _ in SESSION])
def test_a_pin_whose_client_left_before_the_reply_serves_nobody_else(fake, gate, command, answer):
    one, two = gate.connect(), gate.connect()
    fake.on("BLPOP", reply(b"*-1\r\n"))
    fake.once(command[0], hold(answer))
    one.command(*command)
    fake.wait_held()
    pin = fake.with_command(command[0])
    vanish(one)
    gate.wait_for_log("client closed")
    fake.release()
    wait_until(lambda: pin.closed or is_taken(pin.socket), what="the late reply to be read")
    assert two.call("BLPOP", "list", 0) is None
    assert serves(two)
    assert "BLPOP" not in pin.names(), "the state of the client that left is still in force there"


def test_the_late_reply_to_a_request_that_timed_out_goes_to_nobody(fake, start_respgate):
    gate = start_respgate(fake.url(), settings={"backend.default.command_timeout": "300ms"})
    one, two = gate.connect(), gate.connect()
    fake.once("GET", hold(b"$4\r\nlate\r\n"))
    one.command("GET", "k")
    assert one.read_reply().startswith(b"-RGUNKNOWN ")
    fake.release()
    assert serves(one) and serves(two)
    assert len({connection.index for connection in fake.connections if "GET" in connection.names()}) == 1


# ---- replies that do not come, or not whole ----

@pytest.mark.parametrize("rule", [close_after(), reset_after()], ids=["close", "reset"])
def test_a_lost_reply_is_unknown_and_the_client_stays(fake, gate, rule):
    one, two = gate.connect(), gate.connect()
    assert serves(two)
    fake.once("GET", rule)
    one.command("GET", "k")
    assert one.read_reply().startswith(b"-RGUNKNOWN ")
    assert serves(one) and serves(two)
    assert gets(fake) == 4, "a request whose outcome is unknown must not be sent again"


def test_each_request_in_flight_gets_its_own_unknown(fake, gate):
    one, two = gate.connect(), gate.connect()
    fake.on("SET", silence())
    fake.on("ECHO", silence())
    one.send(encode("SET", "k", "v") * 3 + encode("ECHO", "one"))
    two.send(encode("SET", "k", "w"))
    lane = fake.with_command("SET", 4)
    fake.with_command("ECHO")
    lane.close()
    assert [one.read_reply().split(b" ")[0] for _ in range(4)] == [b"-RGUNKNOWN"] * 4
    assert two.read_reply().startswith(b"-RGUNKNOWN ")
    assert serves(one) and serves(two)
    assert sum(connection.names().count("SET") for connection in fake.connections) == 4


def test_a_lost_reply_closes_the_client_when_so_configured(fake, start_respgate):
    gate = start_respgate(fake.url(), settings={"fallback.on_unknown": "close"})
    one, two = gate.connect(), gate.connect()
    assert serves(two)
    fake.once("GET", close_after())
    one.command("GET", "k")
    assert one.at_eof()
    assert serves(two)


@pytest.mark.parametrize("half", [b"$", b"$10\r\nabc", b"$1\r\nx\r", b"*2\r\n" + X, b"*2\r\n*1\r\n:1\r\n", b"+O",
                                  b":12"])
@pytest.mark.parametrize("ending", [close_after, reset_after])
def test_half_a_reply_is_unknown_and_not_a_byte_of_it_is_delivered(fake, gate, half, ending):
    one, two = gate.connect(), gate.connect()
    fake.once("GET", ending(half))
    one.command("GET", "k")
    reply = one.read_reply()
    assert reply.startswith(b"-RGUNKNOWN "), reply
    assert serves(one) and serves(two)


def test_half_a_large_reply_that_was_begun_ends_with_a_close(fake, gate):
    one, two = gate.connect(), gate.connect()
    fake.once("GET", close_after(MEGABYTE[:700_000]))
    one.command("GET", "k")
    with pytest.raises(WireError, match="closed by the peer"):
        one.read_reply()
    assert one.splitter.buffer, "nothing was delivered: this test did not reach what it is about"
    assert MEGABYTE.startswith(one.splitter.buffer), "something followed the truncated value"
    assert serves(two)


# ---- sessions whose connection is lost ----

def session_of(fake, gate):
    """A client with a connection of its own on which WATCH is in force."""
    fake.on("WATCH", reply(b"+OK\r\n"))
    client = gate.connect()
    assert client.call("WATCH", "k") == "OK"
    return client


def test_pins_are_still_given_after_many_were_lost_with_their_state(fake, gate):
    fake.on("BLPOP", reply(b"*-1\r\n"))
    for _ in range(5):
        client = session_of(fake, gate)
        fake.once("GET", close_after())
        client.command("GET", "k")
        assert client.read_reply().startswith(b"-RGSTATE ")
        assert client.at_eof()
    other = gate.connect()
    assert other.call("BLPOP", "list", 0) is None and serves(other)


def test_pins_are_still_given_after_some_were_lost_without_state(fake, gate):
    fake.on("BLPOP", reply(b"*-1\r\n"))
    client = gate.connect()
    for _ in range(5):
        fake.once("NOSUCH", close_after())
        client.command("NOSUCH")
        assert client.read_reply().startswith(b"-RGUNKNOWN ")
    assert client.call("BLPOP", "list", 0) is None and serves(client)


def test_exec_in_flight_is_unknown_and_closed(fake, gate):
    client = session_of(fake, gate)
    fake.on("MULTI", reply(b"+OK\r\n"))
    assert client.call("MULTI") == "OK"
    fake.once("EXEC", close_after())
    client.command("EXEC")
    assert client.read_reply().startswith(b"-RGUNKNOWN ")
    assert client.at_eof()


def test_a_blocked_command_that_is_lost_is_told_and_closed(fake, gate):
    client = gate.connect()
    fake.once("BLPOP", close_after())
    client.command("BLPOP", "list", 0)
    assert client.read_reply().startswith(b"-RGSTATE ")
    assert client.at_eof()


@pytest.mark.parametrize("name", ["WATCH", "SUBSCRIBE"])
def test_an_idle_session_that_is_lost_is_closed(fake, gate, name):
    fake.on(name, reply(dict((command[0], answer) for command, answer in SESSION)[name]))
    client = gate.connect()
    client.command(name, "c")
    client.read_reply()
    fake.with_command(name).close()
    if not client.at_eof():
        assert client.read_reply().startswith(b"-RGSTATE ") and client.at_eof()


# ---- replies that come too early ----

@pytest.mark.parametrize("size", [40_000, 900_000, 8_000_000])
def test_an_early_error_reply_leaves_everybody_in_step(fake, gate, size):
    one, two = gate.connect(), gate.connect()
    assert serves(two)
    fake.once("SET", Early(b"-ERR too large\r\n", after=1000))
    request = encode("SET", "k", "v" * size)
    one.send(request[: size // 2])
    if size > 1_000_000:
        assert one.read_reply() == b"-ERR too large\r\n"
        one.send(request[size // 2 :])
    else:
        one.send(request[size // 2 :])
        assert one.read_reply() == b"-ERR too large\r\n"
    assert serves(one) and serves(two)


def test_an_early_error_reply_and_a_close_leave_the_others_in_step(fake, gate):
    one, two = gate.connect(), gate.connect()
    assert serves(two)
    fake.once("SET", Early(b"-ERR too large\r\n", after=1000, then_close=True))
    request = encode("SET", "k", "v" * 8_000_000)
    one.send(request[:4_000_000])
    first = one.read_reply()
    assert first == b"-ERR too large\r\n" or first.startswith(b"-RGUNKNOWN ")
    assert serves(two)
    try:
        one.send(request[4_000_000:])
        assert serves(one)
    except (WireError, OSError):
        assert not one.splitter.buffer, "bytes without a request"
    assert serves(two)


# ---- pushes and attributes ----

def test_a_push_on_a_shared_lane_is_dropped(fake, gate):
    one, two = gate.connect(), gate.connect()
    for client in (one, two):
        assert client.call("HELLO", 3)[b"proto"] == 3
    push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    assert serves(one) and serves(two)
    lane = fake.with_command("GET", 2)
    lane.send(push)
    wait_taken(lane.socket)
    assert one.is_silent(0.1) and two.is_silent(0.1)
    fake.once("GET", reply(push + X + push))
    assert serves(one) and serves(two) and serves(one)
    assert not lane.closed and fake.with_command("GET", 5) is lane


@pytest.mark.parametrize("raw", [
    b"|1\r\n$3\r\nttl\r\n:3600\r\n$1\r\nx\r\n",
    b"*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:1\r\n|1\r\n+b\r\n#t\r\n:2\r\n",
    b"|1\r\n+deep\r\n|1\r\n+er\r\n:1\r\n:2\r\n%1\r\n+k\r\n(12345678901234567890\r\n",
])
def test_attributes_pass_with_their_value(fake, gate, raw):
    one, two = gate.connect(), gate.connect()
    assert one.call("HELLO", 3)[b"proto"] == 3
    fake.once("GET", reply(raw))
    one.command("GET", "k")
    assert one.read_bytes(len(raw)) == raw
    assert serves(one) and serves(two)


@pytest.mark.parametrize("raw", [b"?what\r\n", b"$x\r\n", b"$-2\r\n", b"*-2\r\n", b"$1\r\nxyz\r\n", b"+O\nK\r\n",
                                 b"\r\n", b"%-1\r\n", b"*99999999999999999999\r\n",
                                 b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_bytes_that_are_no_reply_end_the_lane(fake, gate, raw):
    one, two = gate.connect(), gate.connect()
    assert serves(two)
    lane = fake.with_command("GET")
    fake.once("GET", reply(raw))
    one.command("GET", "k")
    assert one.read_reply().startswith(b"-RGUNKNOWN ")
    wait_until(lambda: lane.closed, what="the lane to be closed")
    assert serves(one) and serves(two)


# ---- the login of a backend connection ----

def lane_of_held(fake, name):
    """The connection whose command is held back; not that of the check, which asks for INFO."""
    fake.wait_held()
    return next(c for c in fake.connections if c.names() and c.names()[-1] == name and "INFO" not in c.names())


@pytest.mark.parametrize("name", ["AUTH", "HELLO", "SELECT", "PING"])
def test_no_byte_of_a_client_before_the_login_is_done(start_respgate, name):
    login = ["AUTH", "HELLO", "SELECT", "PING"]
    with FakeRedis("secret") as fake:
        fake.on("GET", reply(X))
        for _ in range({"AUTH": 1, "HELLO": 0, "SELECT": 1, "PING": 2}[name]):
            fake.once(name, None)  # those of the check, which greets with a PING before it sends a password
        fake.on(name, hold_login())
        gate = start_respgate(fake.url(db=3), settings={"fallback.queue_timeout": "20s"}, expect_exit=None)
        client = gate.connect()
        client.command("GET", "canary")
        wait_taken(client.socket)
        lane = lane_of_held(fake, name)
        assert client.is_silent(0.2)
        assert [n for n in lane.names() if n in login] == login[: login.index(name) + 1], "one step at a time"
        assert not any(b"canary" in connection.received for connection in fake.connections)
        fake.release()
        assert client.read_reply() == X
        names = fake.with_command("GET").names()
        assert names.index("GET") > names.index("PING")
        gate.kill()


def test_auth_is_first_and_alone(start_respgate):
    with FakeRedis("secret") as fake:
        fake.on("GET", reply(X))
        fake.once("AUTH", None)  # that of the check
        fake.on("AUTH", hold_login())
        gate = start_respgate(fake.url(), settings={"fallback.queue_timeout": "20s"}, expect_exit=None)
        client = gate.connect()
        client.command("GET", "k")
        lane = lane_of_held(fake, "AUTH")
        assert client.is_silent(0.2)
        auth = encode("AUTH", "default", "secret")
        assert lane.received == auth
        assert fake.received(0).startswith(encode("PING") + auth), "a check sends no password to who speaks no RESP"
        fake.release()
        assert client.read_reply() == X
        gate.kill()


def test_a_login_out_of_step_is_given_up_before_a_client_uses_it(fake, start_respgate):
    fake.once("PING", reply(b"$16\r\n0123456789abcdef\r\n"))
    client = start_respgate(fake.url()).connect()
    client.command("GET", "canary")
    assert client.read_reply() == X
    wait_until(lambda: fake.connections[0].closed, what="the connection out of step to be closed")
    assert b"canary" not in fake.received(0)


def test_a_login_that_takes_too_long_is_given_up(fake, start_respgate):
    fake.once("HELLO", hold_login())
    gate = start_respgate(fake.url(), settings={"backend.default.connect_timeout": "200ms",
                                                "fallback.queue_timeout": "20s"})
    client = gate.connect()
    client.command("GET", "canary")
    assert client.read_reply() == X
    late = fake.connections[0]
    fake.release()
    assert serves(client)
    assert b"canary" not in late.received and "GET" not in late.names()


def test_auth_of_a_client_does_not_reach_a_shared_lane(fake, gate):
    one, two = gate.connect(), gate.connect()
    assert serves(two)
    one.send(encode("AUTH", "guessed-password") + encode("GET", "k") + encode("HELLO", "3", "AUTH", "u", "guessed-too"))
    assert one.read_reply().startswith(b"-")
    assert one.read_reply() == X
    assert one.read_reply().startswith(b"-")
    assert serves(two)
    lane = fake.with_command("GET", 3)
    assert b"guessed" not in lane.received and "AUTH" not in lane.names()
