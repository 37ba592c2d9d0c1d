"""The edges of a process: max_clients, SIGTERM with requests in flight, and what does not stop a drain for ever."""

import signal

import pytest

from backend_view import wait_blocked
from harness import WireError, encode, wait_until
from taken import wait_taken

TOO_MANY = "ERR max number of clients reached"
SLEEPER = {"enable-debug-command": "yes"}


def is_refused(gate):
    """True when respgate listens no more."""
    try:
        gate.connect(timeout=1.0).close()
    except OSError:
        return True
    return False


def start_sleep(client, seconds):
    """A request in flight that Redis answers only after so many seconds."""
    client.command("DEBUG", "SLEEP", seconds)
    wait_taken(client.socket)


# ---- max_clients ----

@pytest.mark.threads
@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_too_many_is_told_so_and_closed_and_there_is_room_again_when_one_leaves(
        redis_server, start_respgate, workers):
    gate = start_respgate(redis_server, settings={"listen.max_clients": 5, "listen.workers": workers})
    clients = [gate.connect() for _ in range(5)]
    for client in clients:
        assert client.call("PING") == "PONG"
    for _ in range(3):
        surplus = gate.connect()
        assert surplus.read_value() == TOO_MANY and surplus.at_eof()
    assert all(client.call("PING") == "PONG" for client in clients)
    clients.pop().close()

    def has_room():
        client = gate.connect()
        try:
            return client.call("PING") == "PONG"
        except (WireError, OSError):
            return False
    wait_until(has_room, what="room for one client")


# ---- SIGTERM ----

@pytest.mark.threads
def test_sigterm_lets_a_request_in_flight_finish_and_closes_idle_clients_at_once(start_redis, start_respgate):
    server = start_redis(config=SLEEPER)
    gate = start_respgate(server)
    busy, idle = gate.connect(), gate.connect()
    assert idle.call("PING") == "PONG" and busy.call("PING") == "PONG"
    start_sleep(busy, "0.7")
    gate.signal(signal.SIGTERM)
    assert idle.at_eof(0.5)
    assert busy.read_value() == "OK" and busy.at_eof()
    assert wait_until(lambda: gate.exit_code is not None, what="the end") and gate.exit_code == 0


@pytest.mark.threads
def test_sigterm_stops_accepting(start_redis, start_respgate):
    server = start_redis(config=SLEEPER)
    gate = start_respgate(server)
    busy = gate.connect()
    assert busy.call("PING") == "PONG"
    start_sleep(busy, "0.5")
    gate.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(gate), what="the listener to be closed")
    assert busy.read_value() == "OK"


def test_a_signal_at_the_very_end_costs_neither_exit_code_nor_ledger(redis_server, start_respgate):
    for _ in range(20):
        gate = start_respgate(redis_server)
        with gate.connect() as client:
            assert client.call("PING") == "PONG"
        gate.signal(signal.SIGTERM)

        def has_ended():
            if "msg=ledger" in gate.log():
                gate.signal(signal.SIGTERM)
            return gate.exit_code is not None
        wait_until(has_ended, what="the end")
        assert gate.exit_code == 0


@pytest.mark.threads
def test_a_pipeline_in_flight_is_answered_whole_after_sigterm(redis_server, start_respgate):
    gate = start_respgate(redis_server)
    client = gate.connect()
    assert client.call("PING") == "PONG"
    redis_server.pause()
    client.send(encode("INCR", "k") * 500)
    wait_taken(client.socket)
    gate.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(gate), what="the drain to have begun")
    redis_server.resume()
    assert [client.read_value() for _ in range(500)] == list(range(1, 501))
    assert client.at_eof()


@pytest.mark.threads
def test_a_pending_blpop_ends_with_the_drain_and_takes_no_element(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.drain_timeout": "1s"}, expect_exit=75)
    blocked = gate.connect()
    blocked.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    gate.signal(signal.SIGTERM)
    assert blocked.at_eof(10)
    assert wait_until(lambda: gate.exit_code is not None, what="the end")
    wait_blocked(redis_server, 0)
    assert redis_server.call("RPUSH", "l", "stays") == 1 and redis_server.call("LLEN", "l") == 1


def test_a_blpop_that_ends_during_the_drain_is_answered(redis_server, start_respgate):
    gate = start_respgate(redis_server)
    blocked = gate.connect()
    blocked.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    gate.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(gate), what="the drain to have begun")
    assert redis_server.call("RPUSH", "l", "x") == 1
    assert blocked.read_value() == [b"l", b"x"] and blocked.at_eof()


@pytest.mark.parametrize("session", [("SUBSCRIBE", "a"), ("MULTI",), ("WATCH", "k"), ("MONITOR",)], ids=lambda s: s[0])
def test_an_idle_session_does_not_hold_up_the_drain(redis_server, start_respgate, session):
    gate = start_respgate(redis_server)
    client = gate.connect()
    client.command(*session)
    client.read_reply()
    gate.signal(signal.SIGTERM)
    assert client.at_eof(3)
    assert wait_until(lambda: gate.exit_code is not None, 3, "the end") and gate.exit_code == 0


@pytest.mark.threads
def test_a_second_sigterm_ends_at_once(start_redis, start_respgate):
    server = start_redis(config=SLEEPER)
    gate = start_respgate(server, expect_exit=75)
    busy = gate.connect()
    assert busy.call("PING") == "PONG"
    start_sleep(busy, "3")
    gate.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(gate), what="the drain to have begun")
    gate.signal(signal.SIGTERM)
    assert wait_until(lambda: gate.exit_code is not None, 2, "the end before the sleep is over")
    assert busy.at_eof()


def test_a_transaction_being_typed_may_not_go_on_but_is_not_half_done(redis_server, start_respgate):
    gate = start_respgate(redis_server)
    client = gate.connect()
    assert client.call("MULTI") == "OK" and client.call("INCR", "k") == "QUEUED"
    gate.signal(signal.SIGTERM)
    assert client.at_eof(5)
    assert redis_server.call("EXISTS", "k") == 0
