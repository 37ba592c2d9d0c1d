"""How many clients there may be, and how long one may take to log in."""

import socket
import statistics
import time

import pytest

from bounds import KIB, allow_descriptors, memory, preferred
from harness import encode, fields, wait_until

MAX_CLIENTS = 50
STRANGERS, LOGIN_TIMEOUT_S = 1000, 2.0
STRANGER_COST_MAX = 2 * KIB
CONNECT_P99_MAX_MS = 50
TOO_MANY = b"-ERR max number of clients reached\r\n"
LOGIN = {"listen.auth": "password", "listen.password": "secret"}


def totals(gate):
    """The counters it logs when it ends, which this makes it do."""
    assert gate.stop() == 0
    return fields(gate.wait_for_log("msg=counters"))


def test_one_client_too_many_is_told_and_counted(start_respgate, redis_server):
    """Those who are connected do not notice; who leaves makes room for one."""
    gate = start_respgate(redis_server, settings={"listen.max_clients": MAX_CLIENTS})
    clients = [gate.connect() for _ in range(MAX_CLIENTS)]
    for client in clients:
        assert client.call("PING") == "PONG"
    for _ in range(2 * MAX_CLIENTS):
        with gate.connect() as refused:
            assert refused.read_reply() == TOO_MANY
            assert refused.at_eof()
    assert all(client.call("PING") == "PONG" for client in clients)
    clients.pop().close()

    def is_taken():
        with gate.connect() as newcomer:
            try:
                return newcomer.call("PING") == "PONG"
            except (AssertionError, OSError):
                return False
    wait_until(is_taken, what="room for a client")
    rejected = [line for line in gate.log().splitlines() if "clients rejected" in line]
    assert len(rejected) == 1, rejected
    counters = totals(gate)
    assert int(counters["clients_rejected"]) >= 2 * MAX_CLIENTS
    assert int(counters["clients_accepted"]) == MAX_CLIENTS + 1
    assert counters["clients_closed"] == counters["clients_accepted"]


@pytest.mark.parametrize("request_bytes, words", [
    (encode(*"12345678901"), b"unauthenticated multibulk length"),
    (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"unauthenticated bulk length"),
], ids=["eleven-arguments", "16385-bytes"])
def test_a_stranger_may_say_little(start_respgate, start_redis, request_bytes, words):
    """Before login, in the words of Redis."""
    server = start_redis(config={"requirepass": "secret"})
    gate = start_respgate(server.url(password="secret"), settings=LOGIN)
    for peer in (server, gate):
        with peer.connect() as stranger:
            stranger.send(request_bytes)
            assert stranger.read_reply() == b"-ERR Protocol error: " + words + b"\r\n"
            assert stranger.at_eof()
    with gate.connect() as stranger:
        assert stranger.call(*"1234567890").code == "NOAUTH"
        assert stranger.call("AUTH", "x" * 16384).code == "WRONGPASS"
        assert stranger.call("AUTH", "secret") == "OK"
        assert stranger.call("DEL", *map(str, range(20))) == 0


def connect_ms(gate):
    """How long a newcomer takes to log in and be answered."""
    start = time.monotonic()
    with gate.connect() as client:
        assert client.call("AUTH", "secret") == "OK"
        assert client.call("PING") == "PONG"
    return (time.monotonic() - start) * 1000


def send_byte(gate, strangers, byte, waits):
    """One byte of each; in between, newcomers, whose time is added to `waits`."""
    for number, stranger in enumerate(strangers):
        stranger.send(bytes([byte]))
        if number % 20 == 0:
            waits.append(connect_ms(gate))


@pytest.mark.figures
def test_a_thousand_slow_strangers_are_cheap_and_do_not_stay(start_respgate, redis_server, figure):
    """Each sends a byte a second of a login that never ends; all are closed in time, newcomers log in meanwhile."""
    allow_descriptors()
    gate = start_respgate(redis_server, settings={**LOGIN, "listen.login_timeout": f"{LOGIN_TIMEOUT_S:g}s"})
    connect_ms(gate)
    base, waits = memory(gate.pid), []
    strangers = [socket.create_connection(("127.0.0.1", gate.port), 10) for _ in range(STRANGERS)]
    start = time.monotonic()
    with preferred(gate.pid, redis_server.pid):
        for second, byte in enumerate(encode("AUTH", "x" * 100)[:int(LOGIN_TIMEOUT_S)]):
            send_byte(gate, strangers, byte, waits)
            if second == 0:
                cost = (memory(gate.pid) - base) / STRANGERS
            time.sleep(max(start + second + 1 - time.monotonic(), 0))  # the strangers' pace
        assert all(closed(stranger) for stranger in strangers)
    took = time.monotonic() - start
    p99 = statistics.quantiles(waits, n=100)[98]
    figure(f"{STRANGERS} strangers with a byte a second: {cost:.0f} bytes each (at most {STRANGER_COST_MAX}),"
           f" all closed after {took:.1f} s (login_timeout {LOGIN_TIMEOUT_S:g} s and 1 s);"
           f" p99 to connect and log in {p99:.1f} ms (at most {CONNECT_P99_MAX_MS})")
    assert cost <= STRANGER_COST_MAX
    assert took <= LOGIN_TIMEOUT_S + 1 + 0.5  # the clients began within the time it took to connect them all
    assert p99 <= CONNECT_P99_MAX_MS
    assert int(totals(gate)["clients_login_timeout"]) == STRANGERS


def closed(sock):
    """True when the peer closes, in order or with a reset; waits for it."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
    finally:
        sock.close()
