"""Blocking commands and WAIT: nobody waits behind a blocked client, a dead one takes no element with it, WAIT speaks of
the client's own writes, and a script that never ends can be killed."""

import socket
import time

import pytest

from backend_view import backend_ids, blocked, command_calls, info, wait_blocked
from harness import ErrorReply, encode, wait_until

ENDLESS = "while true do end"


# ---- trap 2: WAIT ----

@pytest.fixture
def replicated(start_redis):
    """A primary and its replica, in step."""
    primary = start_redis(config={"repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1})
    replica = start_redis(config={"replicaof": f"127.0.0.1 {primary.port}"})
    wait_until(lambda: info(replica, "replication")["master_link_status"] == "up", 20, "the replica to be in step")
    assert primary.call("RPUSH", "l", "a", "b") == 2
    with primary.connect() as connection:
        assert connection.call("SET", "second", 1) == "OK" and connection.call("WAIT", 1, 5000) == 1
    return primary, replica


def write_plainly(client):
    """A command on the shared connection."""
    assert client.call("SET", "k", "v") == "OK"


def write_in_a_transaction(client):
    """On a connection of its own."""
    assert client.call("MULTI") == "OK" and client.call("SET", "k", "v") == "QUEUED" and client.call("EXEC") == ["OK"]


def write_in_a_block(client):
    """A whole block, on the shared connection."""
    client.send(encode("MULTI") + encode("SET", "k", "v") + encode("EXEC"))
    assert [client.read_value() for _ in range(3)] == ["OK", "QUEUED", ["OK"]]


def write_a_large_value(client):
    """Streamed over a connection of its own."""
    assert client.call("SET", "k", b"v" * 300_000) == "OK"


def write_by_a_blocking_command(client):
    """A pop that finds its element at once, on a connection of its own."""
    assert client.call("BLMOVE", "l", "m", "LEFT", "RIGHT", 0) == b"a"


WRITES = [write_plainly, write_in_a_transaction, write_in_a_block, write_a_large_value, write_by_a_blocking_command]


@pytest.mark.parametrize("write", WRITES)
def test_wait_with_a_stopped_replica_counts_no_replica_for_the_clients_own_writes(replicated, start_respgate, write):
    primary, replica = replicated
    gate = start_respgate(primary)
    client, other = gate.connect(), gate.connect()
    for connection in (client, other):
        assert connection.call("SET", "before", 1) == "OK"
    assert client.call("WAIT", 1, 5000) == 1
    replica.pause()
    write(client)
    with primary.connect() as fresh:
        assert fresh.call("WAIT", 1, 100) == 1, "the trap is not there: a fresh connection has no write to wait for"
    assert client.call("WAIT", 1, 300) == 0
    replica.resume()
    assert client.call("WAIT", 1, 10000) == 1


@pytest.mark.parametrize("write", WRITES)
def test_a_first_wait_with_a_stopped_replica_counts_no_replica_for_the_clients_own_writes(
        replicated, start_respgate, write):
    primary, replica = replicated
    gate = start_respgate(primary)
    client = gate.connect()
    assert client.call("SET", "before", 1) == "OK"
    with primary.connect() as direct:
        assert direct.call("SET", "after", 1) == "OK" and direct.call("WAIT", 1, 5000) == 1
    replica.pause()
    write(client)
    assert client.call("WAIT", 1, 300) == 0
    replica.resume()


@pytest.mark.threads
def test_others_go_on_while_one_client_waits_for_replicas(replicated, start_respgate):
    primary, replica = replicated
    gate = start_respgate(primary)
    client, other = gate.connect(), gate.connect()
    assert client.call("SET", "a", 1) == "OK" and other.call("SET", "b", 1) == "OK"
    replica.pause()
    client.send(encode("SET", "a", 2) + encode("WAIT", 1, 0) + encode("GET", "a"))
    wait_blocked(primary, 1)
    for number in range(1, 101):
        assert other.call("INCR", "n") == number
    replica.resume()
    assert [client.read_value() for _ in range(3)] == ["OK", 1, b"2"]


def test_wait_without_a_replica_answers_as_redis(redis_server, respgate):
    client = respgate.connect()
    assert client.call("WAIT", 0, 0) == 0
    assert client.call("SET", "k", "v") == "OK" and client.call("WAIT", 1, 20) == 0
    assert client.call("WAIT", "x", 1) == redis_server.call("WAIT", "x", 1)
    assert client.call("WAIT", 1) == redis_server.call("WAIT", 1)


# ---- trap 3: SCRIPT KILL ----

@pytest.mark.threads
@pytest.mark.parametrize("prepared", [True, False], ids=["a spare connection", "no spare connection"])
def test_script_kill_arrives_during_an_endless_eval(start_redis, start_respgate, prepared):
    server = start_redis(config={"busy-reply-threshold": 50})
    gate = start_respgate(server)
    looping, killer = gate.connect(), gate.connect()
    assert looping.call("PING") == "PONG" and killer.call("PING") == "PONG"
    if prepared:
        assert killer.call("SCRIPT", "KILL").code == "NOTBUSY"
    looping.command("EVAL", ENDLESS, 0)
    wait_until(lambda: isinstance(server.call("PING"), ErrorReply), what="Redis to be busy")
    assert killer.call("SCRIPT", "KILL") == "OK"
    assert "Script killed by user" in looping.read_value()
    assert killer.call("PING") == "PONG" and looping.call("PING") == "PONG"


def test_function_kill_and_stats_arrive_during_an_endless_function(start_redis, start_respgate):
    server = start_redis(config={"busy-reply-threshold": 50})
    gate = start_respgate(server)
    looping, killer = gate.connect(), gate.connect()
    library = "#!lua name=lib\nredis.register_function('loop', function() while true do end end)"
    assert killer.call("FUNCTION", "LOAD", library) == b"lib"
    looping.command("FCALL", "loop", 0)
    wait_until(lambda: isinstance(server.call("PING"), ErrorReply), what="Redis to be busy")
    stats = killer.call("FUNCTION", "STATS")
    assert stats[stats.index(b"running_script") + 1][1] == b"loop"
    assert killer.call("FUNCTION", "KILL") == "OK"
    assert "killed by user" in looping.read_value()


# ---- trap 4: who dies while blocked ----

POPS = {
    "BLPOP": ("BLPOP", "l", 0), "BRPOP": ("BRPOP", "none", "l", 0), "BLMOVE": ("BLMOVE", "l", "m", "LEFT", "LEFT", 0),
    "BRPOPLPUSH": ("BRPOPLPUSH", "l", "m", 0), "BLMPOP": ("BLMPOP", 0, 1, "l", "LEFT"),
}


@pytest.mark.threads
@pytest.mark.parametrize("leave", ["close", "reset", "half-close"])
@pytest.mark.parametrize("pop", POPS.values(), ids=POPS)
def test_an_element_pushed_after_a_blocked_client_died_stays(redis_server, respgate, pop, leave):
    client, other = respgate.connect(), respgate.connect()
    client.command(*pop)
    wait_blocked(redis_server, 1)
    if leave == "half-close":
        client.socket.shutdown(socket.SHUT_WR)
        assert client.at_eof()
    else:
        if leave == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    wait_blocked(redis_server, 0)
    assert other.call("RPUSH", "l", "stays") == 1
    assert other.call("LRANGE", "l", 0, -1) == [b"stays"]


@pytest.mark.threads
def test_sorted_set_pops_of_the_dead_take_nothing_either(redis_server, respgate):
    for command in (("BZPOPMIN", "z", 0), ("BZPOPMAX", "z", 0), ("BZMPOP", 0, 1, "z", "MIN")):
        with respgate.connect() as client:
            client.command(*command)
            wait_blocked(redis_server, 1)
        wait_blocked(redis_server, 0)
        other = respgate.connect()
        assert other.call("ZADD", "z", 1, "stays") == 1 and other.call("ZREM", "z", "stays") == 1


# ---- blocked clients and the others ----

@pytest.mark.threads
def test_nobody_waits_behind_many_blocked_clients(redis_server, respgate):
    waiting = [respgate.connect() for _ in range(20)]
    for number, client in enumerate(waiting):
        client.command("BLPOP", f"l{number}", 0)
    wait_blocked(redis_server, 20)
    quick = respgate.connect()
    for number in range(1, 101):
        assert quick.call("INCR", "n") == number
    for number in reversed(range(20)):
        assert quick.call("RPUSH", f"l{number}", number) == 1
    for number, client in enumerate(waiting):
        assert client.read_value() == [b"l%d" % number, b"%d" % number]


def test_short_blocking_commands_in_a_loop_reuse_their_connection(redis_server, respgate):
    client = respgate.connect()
    assert client.call("BRPOP", "none", 0.01) is None
    lanes = backend_ids(redis_server)
    for _ in range(30):
        assert client.call("BRPOP", "none", 0.01) is None
    assert backend_ids(redis_server) == lanes


@pytest.mark.threads
def test_commands_pipelined_around_a_blocking_one_keep_their_order(redis_server, respgate):
    client, other = respgate.connect(), respgate.connect()
    client.send(encode("SET", "k", 1) + encode("BLPOP", "l", 0) + encode("INCR", "k") + encode("BLPOP", "l", 0)
                + encode("GET", "k"))
    assert client.read_value() == "OK"
    wait_blocked(redis_server, 1)
    assert other.call("GET", "k") == b"1", "INCR overtook the BLPOP before it"
    assert other.call("RPUSH", "l", "a", "b") == 2
    assert [client.read_value() for _ in range(4)] == [[b"l", b"a"], 2, [b"l", b"b"], b"2"]


def test_a_blocking_command_with_the_wrong_arguments_gets_the_words_of_redis(redis_server, respgate):
    client = respgate.connect()
    assert redis_server.call("SET", "s", "x") == "OK"
    for command in (("BLPOP",), ("BLPOP", "l"), ("BLPOP", "l", "x"), ("BLPOP", "l", -1), ("BLPOP", "s", 1),
                    ("BLMOVE", "a", "b", "UP", "LEFT", 0), ("XREAD", "BLOCK"),
                    ("XREAD", "BLOCK", "x", "STREAMS", "a", 0)):
        assert client.call(*command) == redis_server.call(*command)


# ---- trap 20: a stream named BLOCK ----

def test_xread_of_a_stream_named_block_needs_no_connection_of_its_own(redis_server, respgate):
    client = respgate.connect()
    assert client.call("XADD", "BLOCK", "1-1", "f", "v") == b"1-1"
    lanes = backend_ids(redis_server)
    expected = [[b"BLOCK", [[b"1-1", [b"f", b"v"]]]]]
    assert client.call("XREAD", "COUNT", 1, "STREAMS", "BLOCK", 0) == expected
    assert client.call("XREAD", "STREAMS", "BLOCK", 0) == expected
    assert client.call("XGROUP", "CREATE", "BLOCK", "g", 0) == "OK"
    assert client.call("XREADGROUP", "GROUP", "g", "BLOCKER", "STREAMS", "BLOCK", ">") == expected
    assert backend_ids(redis_server) == lanes


@pytest.mark.threads
def test_xread_block_blocks_nobody_else(redis_server, respgate):
    client, other = respgate.connect(), respgate.connect()
    client.command("xread", "block", 0, "streams", "s", "$")
    wait_blocked(redis_server, 1)
    assert other.call("PING") == "PONG"
    assert other.call("XADD", "s", "1-1", "f", "v") == b"1-1"
    assert client.read_value() == [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    assert client.call("XGROUP", "CREATE", "s", "g", "$") == "OK"
    client.command("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    wait_blocked(redis_server, 1)
    assert other.call("XADD", "s", "2-1", "f", "w") == b"2-1"
    assert client.read_value() == [[b"s", [[b"2-1", [b"f", b"w"]]]]]


def test_xreadgroup_with_a_group_and_a_consumer_named_block_does_not_take_a_connection(redis_server, respgate):
    client = respgate.connect()
    assert client.call("XADD", "s", "1-1", "f", "v") == b"1-1"
    assert client.call("XGROUP", "CREATE", "s", "BLOCK", 0) == "OK"
    assert client.call("XREADGROUP", "GROUP", "BLOCK", "BLOCK", "STREAMS", "s", ">") == \
        [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    assert blocked(redis_server) == 0 and "xread" not in command_calls(redis_server)


# ---- timeouts ----

@pytest.mark.parametrize("resp, null", [(2, b"*-1\r\n"), (3, b"_\r\n")])
def test_a_blocking_command_may_last_longer_than_every_timeout_of_respgate(redis_server, start_respgate, resp, null):
    gate = start_respgate(redis_server, settings={
        "backend.default.command_timeout": "200ms", "fallback.queue_timeout": "100ms", "listen.idle_timeout": "300ms",
        "backend.default.idle_timeout": "200ms"})
    client = gate.connect()
    assert client.call("HELLO", resp)
    started = time.monotonic()
    client.command("BLPOP", "l", "1.5")
    assert client.read_reply() == null
    assert time.monotonic() - started >= 1.4
    assert client.call("PING") == "PONG"
