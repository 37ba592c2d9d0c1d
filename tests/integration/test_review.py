"""Seams of the data path where two mechanisms meet: a wait for a connection of one's own and what is pipelined behind
it, healing and loss, a transaction in one piece and a cut connection, a tunnel and a large command, a queue and time."""

import hashlib
import sys

import pytest

from backend_view import wait_blocked
from harness import ROOT, ErrorReply, free_port, wait_until
from taken import wait_taken
from wire import WireError, encode

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, hold_login, login_rule, reply  # noqa: E402

ONE_WORKER = {"listen.workers": 1}
BIG = "v" * 100_000


@pytest.fixture
def fake():
    """A fake Redis that answers SET and PING."""
    with FakeRedis() as started:
        started.on("SET", reply(b"+OK\r\n"))
        yield started


def small_gate(start_respgate, backend, **settings):
    """respgate with one worker, which the order of events below relies on."""
    return start_respgate(backend, settings={**ONE_WORKER, **{k.replace("__", "."): v for k, v in settings.items()}})


# ---- the control connection is of db 0, its client may not be ----

@pytest.mark.parametrize("command", [("FUNCTION", "STATS"), ("SCRIPT", "KILL")], ids=" ".join)
def test_what_follows_a_control_command_stays_in_its_own_db(redis_server, start_respgate, command):
    client = small_gate(start_respgate, redis_server).connect()
    assert client.call("SELECT", 3) == "OK"
    client.send(encode(*command) + encode("SET", "k", "three"))
    client.read_reply()
    assert client.read_value() == "OK"
    assert redis_server.call("GET", "k") is None
    assert client.call("GET", "k") == b"three"


# ---- scripts ----

def test_after_a_lost_evalsha_healing_repeats_the_right_call(redis_server, start_respgate):
    gate = small_gate(start_respgate, redis_server)
    client, other = gate.connect(), redis_server.connect()
    body = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
    sha = hashlib.sha1(body.encode()).hexdigest()
    assert client.call("EVAL", body, 1, "l", "eval") == 1
    redis_server.pause()
    client.command("EVALSHA", sha, 1, "l", "lost")
    wait_taken(client.socket)
    assert gate.connect().call("CLIENT", "ID")  # a turn has passed: it is written
    redis_server.kill()
    assert client.read_value().startswith("RGUNKNOWN")
    redis_server.start()
    for word in ("as-eval", "as-sha"):
        assert client.call("EVALSHA", sha, 1, "l", word) > 0
    other = redis_server.connect()
    assert other.call("SCRIPT", "FLUSH") == "OK"
    assert client.call("EVALSHA", sha, 1, "l", "healed") > 0
    assert other.call("LRANGE", "l", 0, -1) == [b"as-eval", b"as-sha", b"healed"]


# ---- whole transactions ----

def test_a_transaction_that_was_begun_to_be_sent_is_not_finished_elsewhere(redis_server, start_respgate):
    gate = small_gate(start_respgate, redis_server)
    clients = [gate.connect() for _ in range(800)]
    assert all(client.call("PING") == "PONG" for client in clients)
    redis_server.pause()
    for i, client in enumerate(clients):
        keys = [encode("SET", f"{i}:{n}", "x" * 150) for n in range(60)]
        client.send(encode("MULTI") + b"".join(keys) + encode("EXEC"))
    assert gate.connect().call("CLIENT", "ID")  # a turn has passed: what could be written is written
    redis_server.kill()
    redis_server.start()
    for client in clients:
        client.read_reply()
    for client in clients:
        client.read_reply()
    with redis_server.connect() as direct:
        found = [direct.call("EXISTS", *[f"{i}:{n}" for n in range(60)]) for i in range(len(clients))]
    assert set(found) == {0, 60}, found


OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


def test_an_exec_that_fails_unexpectedly_while_watching_keeps_the_session(fake, start_respgate):
    fake.on("WATCH", reply(b"+OK\r\n"))
    fake.on("MULTI", reply(b"+OK\r\n"))
    fake.on("EXEC", reply(OOM))
    fake.on("GET", reply(b"$1\r\nx\r\n"))
    client = small_gate(start_respgate, fake.url()).connect(timeout=3)
    assert client.call("WATCH", "k") == "OK"
    client.send(encode("MULTI") + encode("SET", "k", 1) + encode("EXEC"))
    assert [client.read_value() for _ in range(3)] == ["OK", "OK", OOM[1:-2].decode()]
    assert client.call("GET", "k") == b"x"
    assert client.call("UNWATCH").startswith("ERR")


def test_the_reply_to_such_an_exec_on_a_shared_lane_arrives_whole(fake, start_respgate):
    fake.on("MULTI", reply(b"+OK\r\n"))
    value = b"$20000\r\n" + b"y" * 20000 + b"\r\n"
    fake.on("GET", reply(value[:14000], value[14000:] + OOM))
    fake.on("EXEC", lambda connection, command: None)
    gate = small_gate(start_respgate, fake.url())
    for _ in range(3):
        client = gate.connect(timeout=3)
        client.send(encode("MULTI") + encode("GET", "k") + encode("EXEC"))
        assert client.read_value() == "OK" and client.read_reply() == value
        assert client.read_reply() == OOM


# ---- large commands ----

def test_a_large_command_in_a_tunnel_is_answered(redis_server, start_respgate):
    client = small_gate(start_respgate, redis_server).connect(timeout=3)
    assert client.call("HELLO", 3)
    for command in (("MULTI",), ("SUBSCRIBE", "c")):
        client.call(*command)
    client.send(encode("EXEC"))
    client.read_bytes(len(b"*1\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"))
    for _ in range(2):
        assert client.call("SET", "k", BIG) == "OK"
    assert client.call("STRLEN", "k") == len(BIG)


def test_a_client_that_leaves_after_a_large_command_to_monitor_takes_nobody_with_it(redis_server, start_respgate):
    gate = small_gate(start_respgate, redis_server)
    client, other = gate.connect(timeout=3), gate.connect()
    assert client.call("MONITOR") == "OK"
    redis_server.pause()
    client.send(encode("SET", "k", BIG))
    wait_taken(client.socket)
    client.close()
    redis_server.resume()
    assert other.call("PING") == "PONG"
    assert redis_server.call("SET", "seen", 1) == "OK"
    assert other.call("PING") == "PONG"


def test_tracking_with_a_large_prefix_leaves_nothing_to_the_next_holder(redis_server, start_respgate):
    gate = small_gate(start_respgate, redis_server)
    first, second = gate.connect(timeout=3), gate.connect(timeout=3)
    for client in (first, second):
        assert client.call("HELLO", 3)
    assert first.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k", "PREFIX", "p" * 100_000) == "OK"
    second.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    redis_server.call("SET", "key", 1)
    redis_server.call("RPUSH", "l", "x")
    assert second.read_value() == [b"l", b"x"]


def test_a_large_command_without_a_backend_has_one_answer(start_respgate):
    gate = small_gate(start_respgate, f"redis://127.0.0.1:{free_port()}/0", fallback__queue_timeout="100ms")
    client = gate.connect(timeout=3)
    whole = encode("SET", "k", "v" * 200_000)
    client.send(whole[:100_000])
    assert client.read_value().startswith("RGUNAVAIL")
    try:
        client.send(whole[100_000:])
        again = client.read_reply(1)
    except (WireError, OSError):
        again = None
    assert again is None


# ---- what became of a wait belongs to one command ----

def test_a_wait_for_the_backend_is_no_login(start_respgate):
    with FakeRedis(password="secret") as fake:
        fake.once("PING", hold_login())
        fake.on("AUTH", login_rule)
        gate = small_gate(start_respgate, f"redis://127.0.0.1:{fake.port}/0", listen__auth="backend")
        client = gate.connect(timeout=3)
        client.command("GET", "k")
        fake.wait_held()
        assert client.is_silent(0.2)
        fake.release()
        assert client.read_value().startswith("NOAUTH")
        assert client.call("AUTH", "wrong").startswith("WRONGPASS")


def test_a_blocking_command_may_be_the_first_that_waits_for_the_backend(start_respgate):
    with FakeRedis() as fake:
        fake.once("PING", hold_login())
        fake.on("BLPOP", reply(b"*-1\r\n"))
        gate = small_gate(start_respgate, fake.url(), listen__auth="backend")
        client = gate.connect(timeout=3)
        client.command("BLPOP", "l", 1)
        fake.wait_held()
        assert client.is_silent(0.2)
        fake.release()
        assert client.read_value() is None


def test_a_redirect_and_an_own_wait_give_a_client_one_connection(start_respgate):
    with FakeRedis() as fake:
        fake.on("BLPOP", reply(b"*-1\r\n"))
        gate = small_gate(start_respgate, fake.url())
        asker, target = gate.connect(timeout=3), gate.connect(timeout=3)
        number = target.call("CLIENT", "ID")
        assert asker.call("CLIENT", "ID") and asker.call("BLPOP", "l", 1) is None  # one idle connection is there now
        asker.send(encode("CLIENT", "TRACKING", "ON", "REDIRECT", number))
        target.send(encode("BLPOP", "l", 1))
        assert asker.read_value() == "OK"
        assert target.read_value() is None
        target.close()
        asker.close()
        fresh = gate.connect(timeout=3)
        fresh.call("PING")
        for connection in fake.connections:
            connection.close()
        assert wait_until(lambda: fresh.call("PING") == "PONG")


# ---- queues and time ----

def test_who_waits_for_room_on_a_connection_that_is_down_is_woken_once_it_is_up(start_redis, start_respgate):
    port = free_port()
    gate = small_gate(start_respgate, f"redis://127.0.0.1:{port}/0", fallback__queue_timeout="20s")
    client = gate.connect(timeout=10)
    count, value = 900, "v" * 4000
    client.send(b"".join(encode("SET", f"k{i}", value) for i in range(count // 3)))
    client.send(b"".join(encode("SET", f"k{i}", value) for i in range(count // 3)))
    start_redis(port=port)
    for _ in range(2 * (count // 3)):
        assert client.read_value() == "OK"


def test_command_timeout_starts_when_a_command_is_sent(fake, start_respgate):
    def late(connection, _command):
        connection.fake.released.clear()
        connection.fake.held.set()
        connection.fake.released.wait(0.1)
        connection.send(b"+OK\r\n")
    fake.once("PING", hold_login())
    fake.on("SET", late)
    gate = small_gate(start_respgate, fake.url(), fallback__queue_timeout="20s",
                      backend__default__command_timeout="300ms")
    client = gate.connect()
    client.command("SET", "k", 1)
    assert client.is_silent(0.6)
    fake.release()
    assert client.read_value() == "OK"


# ---- RESP3 subscribers ----

def test_a_list_that_looks_like_a_message_is_a_reply_in_resp3(redis_server, start_respgate):
    client = small_gate(start_respgate, redis_server).connect(timeout=3)
    assert client.call("HELLO", 3)
    client.call("SUBSCRIBE", "c")
    client.call("RPUSH", "l", "message", "c", "text")
    assert client.call("LRANGE", "l", 0, -1) == [b"message", b"c", b"text"]
    assert client.call("CLIENT", "ID") > 0


# ---- bounds ----

def test_unsubscribing_without_reading_is_bounded(redis_server, start_respgate):
    client = small_gate(start_respgate, redis_server).connect(timeout=2)
    commands = encode("UNSUBSCRIBE", "c" * 50) * 1000
    with pytest.raises(OSError):
        for _ in range(400):
            client.send(commands)


MANY = {
    "UNSUBSCRIBE": ["UNSUBSCRIBE", *["c"] * 120_000],
    "CLIENT LIST": ["CLIENT", "LIST", "ID", *["1"] * 120_000],
    "CLIENT KILL": ["CLIENT", "KILL", *["ID", "999999"] * 40_000],
}


@pytest.mark.parametrize("command", MANY.values(), ids=MANY)
def test_a_command_of_many_arguments_that_is_answered_here_holds_up_nobody(redis_server, start_respgate, command):
    gate = small_gate(start_respgate, redis_server)
    client, other = gate.connect(timeout=60), gate.connect(timeout=2)
    assert other.call("PING") == "PONG"
    client.send(encode(*command))
    client.read_bytes(1)
    assert other.call("PING") == "PONG"


# ---- secrets ----

def test_an_error_that_quotes_the_login_does_not_show_it(start_redis, start_respgate):
    server = start_redis(config={"rename-command": 'AUTH ""'})
    gate = small_gate(start_respgate, server.url(password="geheim"))
    gate.wait_for_log("cause=auth")
    client = gate.connect(timeout=3)
    assert isinstance(client.call("PING"), ErrorReply)
    assert "geheim" not in gate.log()
