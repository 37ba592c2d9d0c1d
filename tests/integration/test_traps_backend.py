"""A backend that is away: clients are accepted and wait for queue_timeout, what was not sent is RGUNAVAIL, what may
have run is RGUNKNOWN, a session that lost its connection is RGSTATE and a close, and a backend that comes is used."""

import socket
import threading
import time

import pytest

from backend_view import command_calls, info, wait_blocked, wait_command
from harness import WireError, encode, free_port, wait_until
from taken import wait_taken

UNAVAILABLE = "RGUNAVAIL no backend is usable; nothing was sent, safe to retry"
UNKNOWN = "RGUNKNOWN backend connection lost after the request was sent; it may have run"
STATE = "RGSTATE the backend connection that held this session's state is gone"


def timed(call, *args):
    """What a call returns, and how many seconds it took."""
    started = time.monotonic()
    value = call(*args)
    return value, time.monotonic() - started


def wait_served(client):
    """Wait until the backend is used again."""
    wait_until(lambda: client.call("PING") == "PONG", what="the backend to be used")


# ---- not there at the start ----

@pytest.mark.threads
def test_clients_are_accepted_and_wait_for_queue_timeout_before_the_backend_is_called_away(start_respgate):
    gate = start_respgate(f"redis://127.0.0.1:{free_port()}/0", settings={"fallback.queue_timeout": "400ms"})
    client = gate.connect()
    reply, seconds = timed(client.call, "GET", "k")
    assert reply == UNAVAILABLE and 0.3 <= seconds < 3
    assert client.call("INCR", "k") == UNAVAILABLE, "the client keeps its connection"
    assert client.call("CLIENT", "ID") > 0 and client.call("QUIT") == "OK"


@pytest.mark.parametrize("command", [("GET", "k"), ("MULTI",), ("BLPOP", "l", 0), ("SUBSCRIBE", "a"), ("WATCH", "k"),
                                     ("WAIT", 0, 0), ("SCRIPT", "KILL"), ("EVAL", "return 1", 0), ("MONITOR",),
                                     ("SELECT", 1), ("HELLO", 3), ("SET", "k", "v" * 200_000)], ids=lambda c: c[0])
def test_every_kind_of_command_is_told_that_nothing_was_sent(start_respgate, command):
    gate = start_respgate(f"redis://127.0.0.1:{free_port()}/0", settings={"fallback.queue_timeout": "50ms"})
    client = gate.connect()
    client.send(encode(*command))
    assert client.read_value() == UNAVAILABLE


def test_with_queue_timeout_0_nobody_waits(start_respgate):
    gate = start_respgate(f"redis://127.0.0.1:{free_port()}/0", settings={"fallback.queue_timeout": "0"})
    client = gate.connect()
    assert client.call("GET", "k") == UNAVAILABLE
    reply, seconds = timed(client.call, "GET", "k")
    assert reply == UNAVAILABLE and seconds < 0.3


@pytest.mark.threads
def test_a_backend_that_appears_later_is_used(start_redis, start_respgate):
    port = free_port()
    gate = start_respgate(f"redis://127.0.0.1:{port}/0", settings={"fallback.queue_timeout": "100ms"})
    client = gate.connect()
    assert client.call("GET", "k") == UNAVAILABLE
    start_redis(port=port)
    wait_served(client)
    assert client.call("SET", "k", "v") == "OK" and gate.connect().call("GET", "k") == b"v"


@pytest.mark.threads
def test_what_waits_is_sent_when_the_backend_appears_in_time(start_redis, start_respgate):
    port = free_port()
    gate = start_respgate(f"redis://127.0.0.1:{port}/0", settings={"fallback.queue_timeout": "30s"})
    clients = [gate.connect() for _ in range(5)]
    for number, client in enumerate(clients):
        client.send(encode("INCR", f"k{number}") * 3)
    blocked, talker = gate.connect(), gate.connect()
    blocked.command("BLPOP", "l", 0)
    talker.send(encode("MULTI") + encode("INCR", "m"))
    for client in (*clients, blocked, talker):
        wait_taken(client.socket)
    server = start_redis(port=port)
    for client in clients:
        assert [client.read_value() for _ in range(3)] == [1, 2, 3]
    assert [talker.read_value() for _ in range(2)] == ["OK", "QUEUED"] and talker.call("EXEC") == [1]
    wait_blocked(server, 1)
    assert server.call("RPUSH", "l", "x") == 1 and blocked.read_value() == [b"l", b"x"]


@pytest.mark.threads
def test_a_backend_that_is_loading_or_silent_is_waited_for(start_redis, start_respgate):
    server = start_redis()
    server.pause()
    gate = start_respgate(server, settings={"fallback.queue_timeout": "30s"})
    client = gate.connect()
    client.command("INCR", "k")
    assert client.is_silent(0.2)
    server.resume()
    assert client.read_value() == 1


def test_a_silent_backend_is_given_up_after_connect_and_queue_timeout(start_redis, start_respgate):
    server = start_redis()
    server.pause()
    gate = start_respgate(server, settings={
        "backend.default.connect_timeout": "200ms", "fallback.queue_timeout": "300ms"})
    client = gate.connect()
    reply, seconds = timed(client.call, "GET", "k")
    assert reply == UNAVAILABLE and seconds < 5
    server.resume()
    wait_served(client)


# ---- lost in flight ----

@pytest.mark.threads
def test_requests_lost_in_flight_are_unknown_and_never_sent_again(redis_server, respgate):
    clients = [respgate.connect() for _ in range(5)]
    for client in clients:
        assert client.call("PING") == "PONG"
    redis_server.pause()
    for client in clients:
        client.send(encode("INCR", "k") * 4)
        wait_taken(client.socket)
    redis_server.kill()
    for client in clients:
        assert [client.read_value() for _ in range(4)] == [UNKNOWN] * 4
    redis_server.start()
    for client in clients:
        wait_served(client)
    assert "incr" not in command_calls(redis_server), "sent again, though it may have run"


@pytest.mark.threads
def test_with_on_unknown_close_a_client_with_something_in_flight_is_closed(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"fallback.on_unknown": "close"})
    busy, idle = gate.connect(), gate.connect()
    assert busy.call("PING") == "PONG" and idle.call("PING") == "PONG"
    redis_server.pause()
    busy.command("INCR", "k")
    wait_taken(busy.socket)
    redis_server.kill()
    assert busy.at_eof()
    redis_server.start()
    wait_served(idle)


def test_an_exec_in_flight_is_unknown(redis_server, respgate):
    block, typist = respgate.connect(), respgate.connect()
    assert block.call("PING") == "PONG"
    assert typist.call("MULTI") == "OK" and typist.call("INCR", "k") == "QUEUED"
    redis_server.pause()
    typist.command("EXEC")
    block.send(encode("MULTI") + encode("INCR", "k") + encode("EXEC"))
    for client in (typist, block):
        wait_taken(client.socket)
    redis_server.kill()
    assert typist.read_value() == UNKNOWN
    assert [block.read_value() for _ in range(3)] == [UNKNOWN] * 3
    redis_server.start()
    wait_served(block)
    assert redis_server.call("GET", "k") is None


def test_a_streamed_value_in_flight_is_unknown_and_ends_its_client_only(redis_server, respgate):
    sender, other = respgate.connect(), respgate.connect()
    assert other.call("PING") == "PONG"
    sender.send(encode("SET", "k", "v" * 5_000_000)[:2_000_000])
    wait_taken(sender.socket)
    redis_server.kill()
    try:
        assert sender.read_value() == UNKNOWN and sender.at_eof()
    except WireError:
        pytest.fail("neither an answer nor a close")
    redis_server.start()
    wait_served(other)


# ---- sessions ----

@pytest.mark.threads
def test_a_blocked_client_is_told_that_its_state_is_gone_and_closed(redis_server, respgate):
    blocked, other = respgate.connect(), respgate.connect()
    blocked.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    redis_server.restart()
    assert blocked.read_value() == STATE and blocked.at_eof()
    wait_served(other)
    assert other.call("RPUSH", "l", "x") == 1 and other.call("LLEN", "l") == 1


SESSIONS = {
    "subscribed": [("SUBSCRIBE", "a")], "patterns": [("PSUBSCRIBE", "a*")], "shards": [("SSUBSCRIBE", "s")],
    "in MULTI": [("MULTI",), ("INCR", "k")], "watching": [("WATCH", "k")], "monitoring": [("MONITOR",)],
    "tracking": [("HELLO", 3), ("CLIENT", "TRACKING", "ON")],
}


@pytest.mark.threads
@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_an_idle_client_whose_session_was_lost_is_closed_and_others_stay(redis_server, respgate, session):
    client, other = respgate.connect(), respgate.connect()
    for command in session:
        client.command(*command)
        client.read_reply()
    assert other.call("PING") == "PONG"
    redis_server.kill()
    deadline = client.deadline(None)
    while client.receive(deadline):  # what a monitor has seen; going on without its state would be a lie
        pass
    assert b"\n-" not in b"\n" + client.splitter.buffer, "an answer that nobody asked for"
    redis_server.start()
    wait_served(other)


def test_a_command_in_flight_in_a_lost_transaction_is_told_so(redis_server, respgate):
    client = respgate.connect()
    assert client.call("MULTI") == "OK"
    redis_server.pause()
    client.command("INCR", "k")
    wait_taken(client.socket)
    redis_server.kill()
    assert client.read_value() == STATE and client.at_eof()
    redis_server.start()


def test_a_client_with_names_and_a_database_keeps_them_over_a_restart(redis_server, respgate):
    client = respgate.connect()
    assert client.call("HELLO", 3, "SETNAME", "stays") and client.call("SELECT", 3) == "OK"
    assert client.call("SET", "k", "v") == "OK"
    redis_server.restart()
    wait_until(lambda: client.call("SET", "k", "again") == "OK", what="the backend to be used")
    assert client.call("CLIENT", "GETNAME") == b"stays"
    with redis_server.connect() as direct:
        assert direct.call("EXISTS", "k") == 0
        assert direct.call("SELECT", 3) == "OK" and direct.call("GET", "k") == b"again"
    client.command("GET", "none")
    assert client.read_reply() == b"_\r\n"


@pytest.mark.threads
def test_many_restarts_under_load_leave_everything_working(redis_server, respgate):
    clients = [respgate.connect() for _ in range(10)]
    for _ in range(3):
        for client in clients:
            client.send(encode("INCR", "k") * 20)
        redis_server.restart()
        for client in clients:
            for _ in range(20):
                value = client.read_value()
                assert isinstance(value, int) or value in (UNKNOWN, UNAVAILABLE)
        for client in clients:
            wait_served(client)
    assert int(info(redis_server, "clients")["connected_clients"]) <= 4


def test_reconnecting_to_a_backend_that_hangs_up_is_spaced_out(start_respgate):
    """Full-jitter backoff: two seconds of trouble cost a handful of attempts, though clients ask all the time."""
    attempts = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def hang_up():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return
                attempts.append(time.monotonic())
        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            gate = start_respgate(f"redis://127.0.0.1:{listener.getsockname()[1]}/0",
                                  settings={"fallback.queue_timeout": "100ms", "listen.workers": 1})
            client = gate.connect()
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                assert client.call("GET", "k") == UNAVAILABLE
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert 2 <= len(attempts) <= 40, f"{len(attempts)} attempts in two seconds"


def test_a_dead_backend_does_not_fill_the_log(start_respgate, start_redis):
    server = start_redis()
    gate = start_respgate(server, settings={"fallback.queue_timeout": "100ms"})
    client = gate.connect()
    assert client.call("PING") == "PONG"
    server.kill()
    values = [client.call("GET", "k") for _ in range(10)]
    assert set(values) <= {UNAVAILABLE, UNKNOWN}
    assert len([line for line in gate.log().splitlines() if "backend" in line]) < 20
    server.start()
    wait_served(client)
    wait_command(server, "ping")
