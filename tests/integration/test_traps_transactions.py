"""Transactions: whole blocks share a connection, interactive ones have one of their own, and neither is to be noticed:
WATCH keeps its order, session commands inside MULTI do what they do in Redis, a refused command makes EXEC fail."""

import re

import pytest

from backend_view import backend_clients, backend_ids, command_calls, play, played, wait_command
from harness import ErrorReply, encode, wait_until
from taken import wait_taken

REFUSED = b"-ERR respgate: 'shutdown' is refused by policy (see refuse-commands)\r\n"
EXECABORT = b"-EXECABORT Transaction discarded because of previous errors.\r\n"


def without_ids(data):
    """Replies with the connection id of HELLO and CLIENT ID blanked: those may differ."""
    return re.sub(rb"(\$2\r\nid\r\n):\d+", rb"\1:ID", data)


# ---- trap 6: session commands inside MULTI ----

BLOCKS = {
    "SELECT": [("MULTI",), ("SELECT", 1), ("SET", "k", "in1"), ("EXEC",), ("GET", "k"), ("SELECT", 0), ("GET", "k")],
    "a SELECT that fails": [("MULTI",), ("SELECT", 99), ("SET", "k", "in0"), ("EXEC",), ("GET", "k")],
    "HELLO 3": [("MULTI",), ("HSET", "h", "a", 1), ("HELLO", 3), ("HGETALL", "h"), ("GET", "no"), ("EXEC",),
                ("HGETALL", "h"), ("GET", "no")],
    "SUBSCRIBE a b": [("MULTI",), ("SUBSCRIBE", "a", "b"), ("GET", "no"), ("EXEC",), ("GET", "no"), ("UNSUBSCRIBE",),
                      ("GET", "no")],
    "PSUBSCRIBE": [("MULTI",), ("PSUBSCRIBE", "a*", "b*", "c*"), ("EXEC",), ("PUNSUBSCRIBE",), ("GET", "no")],
    "UNSUBSCRIBE": [("MULTI",), ("UNSUBSCRIBE", "a", "b", "c"), ("GET", "no"), ("EXEC",), ("GET", "no")],
    "CLIENT REPLY SKIP": [("MULTI",), ("SET", "k", 1), ("CLIENT", "REPLY", "SKIP"), ("INCR", "k"), ("INCR", "k"),
                          ("EXEC",), ("GET", "k")],
    "CLIENT REPLY OFF and ON": [("MULTI",), ("CLIENT", "REPLY", "OFF"), ("INCR", "k"), ("CLIENT", "REPLY", "ON"),
                                ("INCR", "k"), ("EXEC",), ("GET", "k")],
    "CLIENT SETNAME": [("MULTI",), ("CLIENT", "SETNAME", "inside"), ("EXEC",), ("CLIENT", "GETNAME")],
    "DISCARD after SELECT": [("MULTI",), ("SELECT", 1), ("DISCARD",), ("SET", "k", 1), ("SELECT", 1), ("EXISTS", "k")],
    "nested MULTI and WATCH": [("MULTI",), ("MULTI",), ("WATCH", "k"), ("INCR", "k"), ("EXEC",), ("GET", "k")],
    "an unknown command": [("MULTI",), ("NOSUCH", "x"), ("INCR", "k"), ("EXEC",), ("GET", "k")],
    "a wrong number of arguments": [("MULTI",), ("GET",), ("INCR", "k"), ("EXEC",), ("GET", "k")],
    "an error at run time": [("SET", "s", "x"), ("MULTI",), ("INCR", "s"), ("INCR", "k"), ("EXEC",), ("GET", "k")],
    "RESET": [("MULTI",), ("SET", "k", 1), ("RESET",), ("GET", "k"), ("EXEC",)],
    "a blocking command": [("MULTI",), ("BLPOP", "none", 0), ("XREAD", "BLOCK", 0, "STREAMS", "s", "$"), ("EXEC",)],
    "WAIT": [("MULTI",), ("SET", "k", 1), ("WAIT", 0, 0), ("EXEC",)],
    "nothing": [("MULTI",), ("EXEC",), ("MULTI",), ("DISCARD",)],
    "EXEC without MULTI": [("EXEC",), ("DISCARD",), ("MULTI", "x"), ("EXEC",), ("WATCH",), ("UNWATCH",)],
    "EXEC with an argument": [("MULTI",), ("INCR", "k"), ("EXEC", "x"), ("EXEC",), ("GET", "k")],
    "PUBLISH and a script": [("MULTI",), ("PUBLISH", "c", "m"), ("EVAL", "return {1,2,{3}}", 0), ("EXEC",)],
    "EVALSHA of a script that nobody has": [("MULTI",), ("EVALSHA", "0" * 40, 0), ("INCR", "k"), ("EXEC",)],
}


@pytest.mark.threads
@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_inside_multi_as_in_redis(redis_server, respgate, block, together):
    other = respgate.connect()
    assert other.call("SET", "other", "x") == "OK"
    direct, through = played(redis_server, respgate, *block, together=together)
    assert without_ids(through) == without_ids(direct)
    assert other.call("PING") == "PONG" and other.call("GET", "k") in (None, *(b"%d" % n for n in range(9)), b"in0")


def test_quit_inside_multi_says_ok_and_closes(redis_server, respgate):
    client = respgate.connect()
    client.send(encode("MULTI") + encode("SET", "k", 1) + encode("QUIT") + encode("EXEC"))
    assert client.read_bytes(len(b"+OK\r\n+QUEUED\r\n+OK\r\n")) == b"+OK\r\n+QUEUED\r\n+OK\r\n"
    assert client.at_eof()
    assert redis_server.call("EXISTS", "k") == 0


@pytest.mark.parametrize("block", [BLOCKS["SELECT"], BLOCKS["HELLO 3"], BLOCKS["CLIENT REPLY SKIP"]])
def test_a_connection_changed_inside_multi_is_used_by_nobody_else(redis_server, respgate, block):
    for _ in range(3):
        with respgate.connect() as changing:
            play(changing, *block)
        client = respgate.connect()
        assert client.call("MULTI") == "OK"
        assert client.call("CLIENT", "ID") == "QUEUED" and client.call("SET", "k", "0") == "QUEUED"
        client.command("EXEC")
        assert client.read_reply().endswith(b"+OK\r\n")
        assert redis_server.call("GET", "k") == b"0"


# ---- trap 7: WATCH and order ----

@pytest.mark.threads
def test_a_watch_pipelined_behind_a_write_of_its_own_sees_that_write(redis_server, respgate):
    client = respgate.connect()
    script = [("SET", "k", 1), ("GET", "k"), ("WATCH", "k"), ("GET", "k"), ("MULTI",), ("INCR", "k"), ("EXEC",)]
    block = b"".join(encode(*command) for command in script)
    client.send(block * 100)
    for _ in range(100):
        assert [client.read_value() for _ in range(7)] == ["OK", b"1", "OK", b"1", "OK", "QUEUED", [2]]


@pytest.mark.threads
@pytest.mark.parametrize("resp, null", [(2, b"*-1\r\n"), (3, b"_\r\n")])
def test_exec_after_somebody_else_wrote_a_watched_key_is_null(respgate, resp, null):
    client, other = respgate.connect(), respgate.connect()
    client.call("HELLO", resp)
    assert client.call("WATCH", "k") == "OK"
    assert other.call("SET", "k", "theirs") == "OK"
    client.send(encode("MULTI") + encode("SET", "k", "mine") + encode("EXEC"))
    assert client.read_bytes(len(b"+OK\r\n+QUEUED\r\n") + len(null)) == b"+OK\r\n+QUEUED\r\n" + null
    assert other.call("GET", "k") == b"theirs"
    client.send(encode("MULTI") + encode("SET", "k", "mine") + encode("EXEC"))
    assert [client.read_value() for _ in range(3)] == ["OK", "QUEUED", ["OK"]]


@pytest.mark.parametrize("end", [("UNWATCH",), ("DISCARD",), ("RESET",)])
def test_a_watch_that_was_given_up_no_longer_counts(respgate, end):
    client, other = respgate.connect(), respgate.connect()
    assert client.call("WATCH", "k") == "OK"
    if end == ("DISCARD",):
        assert client.call("MULTI") == "OK"
    assert client.call(*end) == ("RESET" if end == ("RESET",) else "OK")
    assert other.call("SET", "k", "theirs") == "OK"
    client.send(encode("MULTI") + encode("INCR", "n") + encode("EXEC"))
    assert [client.read_value() for _ in range(3)] == ["OK", "QUEUED", [1]]


@pytest.mark.threads
def test_clients_watching_different_keys_do_not_disturb_each_other(respgate):
    clients = [respgate.connect() for _ in range(8)]
    for number, client in enumerate(clients):
        assert client.call("WATCH", f"k{number}") == "OK"
    for number, client in enumerate(clients):
        client.send(encode("MULTI") + encode("INCR", f"k{number}") + encode("EXEC"))
    for client in clients:
        assert [client.read_value() for _ in range(3)] == ["OK", "QUEUED", [1]]


# ---- trap 25: a pause between MULTI and EXEC ----

@pytest.mark.threads
def test_exec_may_come_long_after_multi_and_nobody_waits_meanwhile(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={
        "backend.default.idle_timeout": "500ms", "backend.default.command_timeout": "500ms",
        "fallback.queue_timeout": "200ms", "listen.idle_timeout": "1s", "listen.slow_client_timeout": "500ms"})
    client, other = gate.connect(), gate.connect()
    assert client.call("MULTI") == "OK" and client.call("INCR", "n") == "QUEUED"
    for number in range(1, 101):
        assert other.call("INCR", "other") == number
    assert client.is_silent(3.0), "something came in the pause between MULTI and EXEC"
    assert gate.connect().call("GET", "n") is None, "it ran before EXEC"
    assert client.call("INCR", "n") == "QUEUED"
    assert client.call("EXEC") == [1, 2]


@pytest.mark.threads
def test_open_transactions_of_many_clients_stay_apart(respgate):
    clients = [respgate.connect() for _ in range(10)]
    for client in clients:
        assert client.call("MULTI") == "OK"
    for number, client in enumerate(clients):
        assert client.call("SET", "who", number) == "QUEUED" and client.call("GET", "who") == "QUEUED"
    for number, client in reversed(list(enumerate(clients))):
        assert client.call("EXEC") == ["OK", b"%d" % number]


def test_a_client_that_leaves_within_a_transaction_leaves_nothing_behind(redis_server, respgate):
    for _ in range(5):
        with respgate.connect() as client:
            assert client.call("MULTI") == "OK" and client.call("SET", "k", 1) == "QUEUED"
    wait_until(lambda: all(line["multi"] == "-1" for line in backend_clients(redis_server)), what="no open MULTI")
    fresh = respgate.connect()
    assert fresh.call("MULTI") == "OK" and fresh.call("EXISTS", "k") == "QUEUED" and fresh.call("EXEC") == [0]


# ---- blocks on the shared connection ----

def test_a_whole_block_needs_no_connection_of_its_own(redis_server, respgate):
    client, other = respgate.connect(), respgate.connect()
    assert client.call("PING") == "PONG" and other.call("PING") == "PONG"
    lanes = backend_ids(redis_server)
    client.send((encode("MULTI") + encode("INCR", "n") + encode("GET", "n") + encode("EXEC")) * 50)
    for number in range(1, 51):
        assert [client.read_value() for _ in range(4)] == ["OK", "QUEUED", "QUEUED", [number, b"%d" % number]]
        assert other.call("PING") == "PONG"
    assert backend_ids(redis_server) == lanes


@pytest.mark.threads
def test_whole_blocks_of_many_clients_never_mix(respgate):
    clients = [respgate.connect() for _ in range(10)]
    for _ in range(20):
        for number, client in enumerate(clients):
            client.send(encode("MULTI") + encode("SET", "who", number) + encode("GET", "who") + encode("EXEC"))
        for number, client in enumerate(clients):
            assert [client.read_value() for _ in range(4)][3] == ["OK", b"%d" % number]


def test_a_block_that_arrives_in_two_parts_runs_once(redis_server, respgate):
    client = respgate.connect()
    block = encode("MULTI") + encode("INCR", "n") + encode("EXEC")
    for at in range(1, len(block)):
        client.send(block[:at])
        wait_taken(client.socket)
        client.send(block[at:])
        assert [client.read_value() for _ in range(3)] == ["OK", "QUEUED", [at]]
    assert redis_server.call("GET", "n") == b"%d" % (len(block) - 1)


# ---- refused inside MULTI ----

@pytest.mark.threads
@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
def test_a_refused_command_inside_multi_makes_exec_fail(redis_server, respgate, together):
    client = respgate.connect()
    answer = play(client, ("MULTI",), ("INCR", "n"), ("SHUTDOWN",), ("INCR", "n"), ("EXEC",), ("GET", "n"),
                  together=together)
    assert answer == b"+OK\r\n+QUEUED\r\n" + REFUSED + b"+QUEUED\r\n" + EXECABORT + b"$-1\r\n"
    assert "exec" not in command_calls(redis_server)


def test_a_refused_command_inside_multi_does_not_hurt_the_next_transaction(respgate):
    client = respgate.connect()
    assert client.call("MULTI") == "OK"
    assert isinstance(client.call("SHUTDOWN"), ErrorReply)
    assert client.call("DISCARD") == "OK"
    assert client.call("MULTI") == "OK" and client.call("INCR", "n") == "QUEUED" and client.call("EXEC") == [1]
    assert client.call("MULTI") == "OK" and isinstance(client.call("SHUTDOWN", "NOSAVE"), ErrorReply)
    assert client.call("EXEC").code == "EXECABORT"
    assert client.call("EXEC") == "ERR EXEC without MULTI"


@pytest.mark.parametrize("command", [("CLIENT", "LIST"), ("CLIENT", "KILL", "ID", 1), ("CLIENT", "UNBLOCK", 1)])
def test_commands_about_all_clients_cannot_be_queued_and_make_exec_fail(redis_server, respgate, command):
    client = respgate.connect()
    assert client.call("MULTI") == "OK" and client.call("INCR", "n") == "QUEUED"
    assert isinstance(client.call(*command), ErrorReply)
    assert client.call("EXEC").code == "EXECABORT"
    assert redis_server.call("EXISTS", "n") == 0


def test_the_queued_commands_of_a_slow_typist_arrive_one_by_one(redis_server, respgate):
    client = respgate.connect()
    assert client.call("MULTI") == "OK"
    wait_command(redis_server, "multi")
    assert client.call("LPUSH", "l", "x") == "QUEUED"
    assert any(line["multi"] == "1" for line in backend_clients(redis_server))
    assert client.call("EXEC") == [1]
