"""Backend connections: what is sent over them is what clients asked for (a backend may bill each command), there are
few of them, and one that the backend closes for idleness is nobody's trouble."""

import pytest

from backend_view import backend_clients, backend_ids, command_calls, info, play, wait_blocked
from harness import Push, encode, wait_until
from taken import wait_taken

UNBILLED = {"auth", "hello", "select", "command", "config", "info", "ping", "reset", "quit"}


def billed(server):
    """Runs of each command that a provider would bill, less what this very question costs (INFO, CLIENT LIST)."""
    return {name: calls for name, calls in command_calls(server).items() if name not in UNBILLED | {"client|list"}}


# ---- trap 21: nothing is sent that nobody asked for ----

BILLS = {
    "plain": ([("SET", "k", 1), ("GET", "k"), ("INCR", "k"), ("MGET", "a", "b")],
              {"set": 1, "get": 1, "incr": 1, "mget": 1}),
    "session": ([("CLIENT", "SETNAME", "n"), ("CLIENT", "ID"), ("SELECT", 1), ("GET", "k"), ("HELLO", 3), ("GET", "k"),
                 ("CLIENT", "GETNAME"), ("SELECT", 0), ("RESET",)], {"get": 2}),
    "transaction": ([("MULTI",), ("INCR", "k"), ("EXEC",), ("WATCH", "k"), ("MULTI",), ("GET", "k"), ("EXEC",)],
                    {"multi": 2, "incr": 1, "exec": 2, "watch": 1, "get": 1}),
    "blocking": ([("RPUSH", "l", 1, 2), ("BLPOP", "l", 1), ("BRPOP", "l", 1)], {"rpush": 1, "blpop": 1, "brpop": 1}),
    "pub/sub": ([("SUBSCRIBE", "a", "b"), ("UNSUBSCRIBE",), ("PUBLISH", "a", "m")],
                {"subscribe": 1, "unsubscribe": 1, "publish": 1}),
    "scripts": ([("EVAL", "return 1", 0), ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", 0)],
                {"eval": 1, "evalsha": 1}),
    "large": ([("SET", "k", "v" * 300_000), ("STRLEN", "k")], {"set": 1, "strlen": 1}),
    "refused": ([("SHUTDOWN",), ("SYNC",), ("GET", "k")], {"get": 1}),
}


@pytest.mark.threads
@pytest.mark.parametrize("commands, bill", BILLS.values(), ids=BILLS)
@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
def test_the_backend_runs_what_the_client_sent_and_nothing_else(redis_server, respgate, commands, bill, together):
    client = respgate.connect()
    assert client.call("PING") == "PONG"
    before = billed(redis_server)
    play(client, *commands, together=together)
    after = billed(redis_server)
    assert {name: calls - before.get(name, 0) for name, calls in after.items() if calls != before.get(name, 0)} == bill


def test_a_start_and_an_idle_minute_of_clients_cost_nothing(redis_server, start_respgate):
    before = billed(redis_server)
    gate = start_respgate(redis_server, settings={"backend.default.metered": "yes"})
    idle = [gate.connect() for _ in range(20)]
    for client in idle:
        assert client.call("CLIENT", "ID") > 0 and client.call("HELLO", 2)
    assert idle[0].is_silent(1.5)
    assert billed(redis_server) == before


# ---- few connections ----

def test_a_hundred_clients_share_one_connection(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.workers": 1})
    clients = [gate.connect() for _ in range(100)]
    for turn in range(5):
        for number, client in enumerate(clients):
            client.command("SET", f"k{number}", turn)
        assert [client.read_value() for client in clients] == ["OK"] * 100
    assert len(backend_ids(redis_server)) == 1
    assert int(info(redis_server, "stats")["total_connections_received"]) < 30


@pytest.mark.threads
def test_commands_of_one_client_keep_their_order_over_several_shared_connections(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"backend.default.connections": 4})
    clients = [gate.connect() for _ in range(12)]
    for number, client in enumerate(clients):
        client.send(b"".join(encode("APPEND", f"k{number}", chr(97 + at % 26)) for at in range(300)))
    for number, client in enumerate(clients):
        assert [client.read_value() for _ in range(300)] == list(range(1, 301))
        assert client.call("GET", f"k{number}") == bytes(97 + at % 26 for at in range(300))


def test_max_connections_bounds_the_pins_and_says_so(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={
        "listen.workers": 1, "backend.default.max_connections": 4, "fallback.queue_timeout": "200ms"})
    waiting = [gate.connect() for _ in range(3)]
    for number, client in enumerate(waiting, 1):  # one after another, so that the first is the first to be served
        client.command("BLPOP", "l", 0)
        wait_blocked(redis_server, number)
    late, plain = gate.connect(), gate.connect()
    assert late.call("BLPOP", "l", 0) == "RGLIMIT no backend connection is free (max_connections)"
    assert plain.call("RPUSH", "l", 1) == 1 and waiting[0].read_value() == [b"l", b"1"]
    assert late.call("BLPOP", "none", "0.01") is None
    assert len(backend_ids(redis_server)) <= 4


# ---- trap 24: a backend that closes idle connections ----

@pytest.fixture
def impatient(start_redis):
    """A Redis that closes connections which were idle for a second."""
    return start_redis(config={"timeout": 1})


@pytest.mark.threads
def test_a_backend_that_closes_idle_connections_is_not_noticed(impatient, start_respgate):
    gate = start_respgate(impatient)
    client, other = gate.connect(), gate.connect()
    for turn in range(1, 3):
        assert client.call("INCR", "k") == turn and other.call("PING") == "PONG"
        client.send(encode("RPUSH", "l", turn) + encode("BLPOP", "l", 1) + encode("MULTI"))
        assert [client.read_value() for _ in range(3)] == [1, [b"l", b"%d" % turn], "OK"]
        assert client.call("EXEC") == []
        wait_until(lambda: not backend_clients(impatient), what="the idle connections to be closed")
        assert client.is_silent(0.05) and other.is_silent(0.01)
    assert client.call("GET", "k") == b"2"


@pytest.mark.threads
def test_a_subscriber_outlives_the_idle_timeout_and_still_gets_messages(impatient, start_respgate):
    gate = start_respgate(impatient)
    listener, publisher = gate.connect(), gate.connect()
    assert listener.call("HELLO", 3)
    assert listener.call("SUBSCRIBE", "a") == Push([b"subscribe", b"a", 1])
    wait_until(lambda: all("P" in line["flags"] for line in backend_clients(impatient)), what="the others to be closed")
    assert publisher.call("PUBLISH", "a", "m") == 1
    assert listener.read_value() == Push([b"message", b"a", b"m"])


def test_a_client_whose_watch_the_backend_gave_up_is_closed_and_not_misled(impatient, start_respgate):
    gate = start_respgate(impatient)
    client = gate.connect()
    assert client.call("WATCH", "k") == "OK"
    assert client.at_eof(10), "its WATCH is gone with the connection: going on would be a lie"


def test_spare_connections_are_closed_after_idle_timeout(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"backend.default.idle_timeout": "1s", "listen.workers": 1})
    clients = [gate.connect() for _ in range(5)]
    for client in clients:
        client.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 5)
    assert redis_server.call("RPUSH", "l", *range(5)) == 5
    assert sorted(int(client.read_value()[1]) for client in clients) == list(range(5))
    wait_until(lambda: len(backend_ids(redis_server)) == 1, what="the spare connections to be closed")
    assert clients[0].call("PING") == "PONG"


# ---- pipeline_depth ----

@pytest.mark.threads
@pytest.mark.parametrize("depth", [1, 2, 7, 1024])
def test_a_pipeline_deeper_than_pipeline_depth_is_answered_whole_and_in_order(redis_server, start_respgate, depth):
    gate = start_respgate(redis_server, settings={"listen.pipeline_depth": depth})
    client, other = gate.connect(), gate.connect()
    client.send(encode("INCR", "k") * 3000)
    assert other.call("PING") == "PONG"
    assert [client.read_value() for _ in range(3000)] == list(range(1, 3001))


def test_no_more_than_pipeline_depth_requests_are_in_flight(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.pipeline_depth": 5, "fallback.queue_timeout": "50ms"})
    client = gate.connect()
    assert client.call("PING") == "PONG"
    redis_server.pause()
    client.send(encode("INCR", "k") * 50)
    wait_taken(client.socket)
    redis_server.kill()
    values = [client.read_value() for _ in range(50)]
    assert [value.code for value in values].count("RGUNKNOWN") == 5
    assert [value.code for value in values].count("RGUNAVAIL") == 45
