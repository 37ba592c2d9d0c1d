"""SEM.ACQUIRE ... WAIT: who waits is granted a place when one becomes free, disturbs nobody, and leaves nothing behind."""

import signal
import sys
import threading
import time

import pytest

from harness import ROOT, ErrorReply, encode, wait_until
from limits import CLOSED, GRANTED, LIMITED, RULES, SEM_REASON, denials_logged, rule_settings, script_calls
from test_limits_down import QUICK
from test_switch import FAST, Pair

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, hold, reply  # noqa: E402 pylint: disable=wrong-import-position

LONG = 60_000
GRANT = b"*10\r\n:1\r\n:1\r\n:1\r\n:30000\r\n:7\r\n:-1\r\n:0\r\n:-1\r\n:-1\r\n:0\r\n"
DENIAL = b"*10\r\n:0\r\n:1\r\n:1\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:30000\r\n:-1\r\n:1\r\n"


def acquire(token, *options, lease=30_000, most=1, key="s"):
    """The command."""
    return ("SEM.ACQUIRE", key, most, lease, token, *options)


def wait(token, *options, ms=LONG, **more):
    """The command with WAIT."""
    return acquire(token, "WAIT", ms, *options, **more)


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with two workers."""
    return start_respgate(redis_server, settings={**rule_settings(), "listen.workers": 2})


def waiters(gate, server, count, key="s"):
    """So many connections whose WAIT has been asked at least once each: the backend has counted them."""
    connections = [gate.connect() for _ in range(count)]
    for number, connection in enumerate(connections):
        before = script_calls(server)
        connection.command(*wait(f"w{number}", key=key))
        wait_until(lambda: script_calls(server) > before, what="the first question")
    return connections


@pytest.mark.threads
@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("fifo", [(), ("FIFO",)], ids=["", "fifo"])
def test_granted_after_a_release_by_whomever(redis_server, gate, resp, fifo):
    """Among ten others some are on the same worker and some on the other one."""
    client = gate.connect()
    client.call("HELLO", resp)
    others = [gate.connect() for _ in range(10)]
    for number, other in enumerate(others):
        assert other.call(*acquire(f"o{number}"))[GRANTED] == 1
        client.command(*wait("w", *fifo))
        assert client.is_silent(0.02)
        begun = time.monotonic()
        assert other.call("SEM.RELEASE", "s", f"o{number}") == 1
        assert client.read_value()[GRANTED] == 1 and time.monotonic() - begun < 1
        assert client.call("SEM.RELEASE", "s", "w") == 1
    assert client.call("SEM.COUNT", "s") == [0, 0, 0] and redis_server.call("KEYS", "rg:*:[qd]:*") == []


def test_granted_when_a_lease_ends(gate):
    client = gate.connect()
    assert client.call(*acquire("t", lease=200))[GRANTED] == 1
    begun = time.monotonic()
    assert client.call(*wait("u"))[GRANTED] == 1
    assert 0.15 < time.monotonic() - begun < 1


@pytest.mark.parametrize("fifo", [(), ("FIFO",)], ids=["", "fifo"])
def test_in_the_end_the_last_denial(redis_server, gate, fifo):
    client, other = gate.connect(), gate.connect()
    assert other.call(*acquire("t"))[GRANTED] == 1
    begun = time.monotonic()
    answer = client.call(*wait("u", *fifo, ms=150))
    assert answer[:3] == [0, 1, 1] and 0.14 < time.monotonic() - begun < 1 and 29000 < answer[7] <= 30000
    assert answer[SEM_REASON] == (8 if fifo else LIMITED)
    assert wait_until(lambda: client.call("SEM.COUNT", "s") == [1, 0, 0], what="the queue to be left")
    assert client.call(*wait("u", *fifo, ms=0))[GRANTED] == 0
    assert client.call(*wait("u", "COST", 2))[SEM_REASON] == 3, "it can never be granted"
    assert redis_server.call("EXISTS", "s") == 1


def test_by_rule(gate):
    client, other = gate.connect(), gate.connect()
    assert other.call("LIM.TRY", "jobs", "u", "TOKEN", "t")[GRANTED] == 1
    client.command("LIM.TRY", "jobs", "u", "TOKEN", "w", "WAIT", LONG, "FIFO")
    assert client.is_silent(0.05)
    assert other.call("SEM.RELEASE", "rl:jobs:u", "t") == 1 and client.read_value()[GRANTED] == 1


@pytest.mark.parametrize("free", [("SEM.RELEASE", "s", "h0", "h1", "h2"), ("SEM.REVOKE", "s", "*")], ids=["release", "revoke"])
def test_a_release_wakes_as_many_as_it_has_places_for(redis_server, start_respgate, free):
    """Who was denied asks again after 50 ms at the earliest, unless it is woken; the best of several rounds is not
    that of a busy machine."""
    gate = start_respgate(redis_server, settings={"listen.workers": 1})
    holder, connections, took = gate.connect(), [gate.connect() for _ in range(3)], []
    for _ in range(8):
        for number in range(3):
            assert holder.call(*acquire(f"h{number}", most=3))[GRANTED] == 1
        before = script_calls(redis_server)
        for number, connection in enumerate(connections):
            connection.command(*wait(f"w{number}", most=3))
        wait_until(lambda: script_calls(redis_server) >= before + 3, what="all of them to have asked")
        begun = time.monotonic()
        assert holder.call(*free) == 3
        assert [connection.read_value()[GRANTED] for connection in connections] == [1] * 3
        took.append(time.monotonic() - begun)
        assert holder.call("SEM.REVOKE", "s", "*") == 3
    assert min(took) < 0.03, took


@pytest.mark.threads
def test_first_come_first_served(redis_server, gate):
    """Twenty on two workers, granted in the order of their coming."""
    holder = gate.connect()
    assert holder.call(*acquire("h", "FIFO"))[GRANTED] == 1
    connections, order, lock = [gate.connect() for _ in range(20)], [], threading.Lock()
    for number, connection in enumerate(connections):
        connection.command(*wait(f"w{number}", "FIFO"))
        wait_until(lambda: holder.call("SEM.COUNT", "s")[2] == number + 1, what="its ticket")

    def serve(number):
        assert connections[number].read_value(30)[GRANTED] == 1
        with lock:
            order.append(number)
        connections[number].call("SEM.RELEASE", "s", f"w{number}")
    threads = [threading.Thread(target=serve, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    assert holder.call("SEM.RELEASE", "s", "h") == 1
    for thread in threads:
        thread.join()
    assert order == list(range(20))
    assert holder.call("SEM.COUNT", "s") == [0, 0, 0]


def test_never_more_than_max_and_nobody_starves(redis_server, gate):
    holding, most, failures, lock = [0], [0], [], threading.Lock()

    def work(number):
        with gate.connect() as connection:
            for turn in range(8):
                token = f"{number}:{turn}"
                if connection.call(*wait(token, *(("FIFO",) if number % 2 else ()), most=2, ms=30_000))[GRANTED] != 1:
                    failures.append(token)
                    return
                with lock:
                    holding[0] += 1
                    most[0] = max(most[0], holding[0])
                time.sleep(0.001)  # the work
                with lock:
                    holding[0] -= 1
                connection.call("SEM.RELEASE", "s", token)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and most[0] == 2
    assert redis_server.call("ZCARD", "s") == 0


# ---- others ----

def test_others_are_not_held_up(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.workers": 1, "backend.default.connections": 1})
    holder = gate.connect()
    assert holder.call(*acquire("h"))[GRANTED] == 1
    crowd = waiters(gate, redis_server, 5)
    begun = time.monotonic()
    assert [holder.call("INCR", "n") for _ in range(200)] == list(range(1, 201))
    assert time.monotonic() - begun < 2 and all(connection.is_silent(0.001) for connection in crowd)


def test_what_was_sent_behind_it_waits(gate):
    client, other = gate.connect(), gate.connect()
    assert other.call(*acquire("t"))[GRANTED] == 1
    client.send(encode("ECHO", "a") + encode(*wait("u")) + encode("INCR", "n") + encode(*wait("v", ms=100)) +
                encode("ECHO", "b"))
    assert client.read_value() == b"a" and client.is_silent(0.1)
    assert other.call("GET", "n") is None
    other.call("SEM.RELEASE", "s", "t")
    assert client.read_value()[GRANTED] == 1 and client.read_value() == 1 and client.read_value()[GRANTED] == 0
    assert client.read_value() == b"b"


def test_inline_and_silent(gate):
    client, other = gate.connect(), gate.connect()
    assert other.call(*acquire("t"))[GRANTED] == 1
    client.send(b"SEM.ACQUIRE s 1 30000 u WAIT 60000\r\n")
    assert client.is_silent(0.05)
    other.call("SEM.RELEASE", "s", "t")
    assert client.read_value()[GRANTED] == 1
    other.send(encode("CLIENT", "REPLY", "SKIP") + encode(*wait("v")) + encode("PING"))
    assert other.is_silent(0.05)
    client.call("SEM.RELEASE", "s", "u")
    assert other.read_value() == "PONG" and client.call("SEM.CHECK", "s", "v") > 0


def test_idle_timeout_is_not_for_who_waits(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.idle_timeout": "1s"})
    idle, client = gate.connect(), gate.connect()
    assert idle.call(*acquire("t", lease=30_000))[GRANTED] == 1
    client.command(*wait("u"))
    assert idle.at_eof(10), "the one that does nothing is closed"
    assert client.is_silent(0.3)
    assert gate.connect().call("SEM.RELEASE", "s", "t") == 1 and client.read_value()[GRANTED] == 1


# ---- the client goes away ----

@pytest.fixture
def fake():
    """A backend that answers scripts as it is told."""
    with FakeRedis() as started:
        started.on("EVAL", reply(DENIAL))
        started.on("EVALSHA", reply(DENIAL))
        yield started


def arguments(fake):
    """The arguments of all scripts that were sent, without their texts."""
    return [command[2:] for connection in fake.connections for command in connection.commands
            if command[0] in (b"EVAL", b"EVALSHA")]


@pytest.mark.parametrize("watch", [False, True], ids=["", "on its own connection"])
@pytest.mark.parametrize("how", ["close", "kill", "half"])
def test_a_place_granted_to_a_client_that_has_gone_is_given_back(fake, start_respgate, how, watch):
    gate = start_respgate(fake.url(), settings={"log.level": "debug"})
    client, other = gate.connect(), gate.connect()
    number = client.call("CLIENT", "ID")
    fake.on("WATCH", reply(b"+OK\r\n"))
    assert not watch or client.call("WATCH", "k") == "OK"
    fake.once("EVAL", hold(GRANT))
    client.command(*wait("mine"))
    fake.wait_held()
    if how == "kill":
        assert other.call("CLIENT", "KILL", "ID", number) == 1
    elif how == "half":
        client.socket.shutdown(1)
    else:
        client.close()
    gate.wait_for_log("client closed")
    before = len(arguments(fake))
    fake.release()
    wait_until(lambda: len(arguments(fake)) > before, what="the release")
    last = arguments(fake)[-1]
    assert last[1] == b"s" and last[-2] == b"mine", "the place of this token"


def test_a_place_that_it_had_before_is_not_given_back(fake, start_respgate):
    gate = start_respgate(fake.url(), settings={"log.level": "debug"})
    client, other = gate.connect(), gate.connect()
    fake.once("EVAL", hold(GRANT.replace(b":-1\r\n:0\r\n:-1", b":-1\r\n:1\r\n:-1")))
    client.command(*wait("mine"))
    fake.wait_held()
    client.close()
    gate.wait_for_log("client closed")
    fake.release()
    assert other.call("SEM.COUNT", "other") is not None
    assert [each for each in arguments(fake) if each[-2] == b"mine"] == []


@pytest.mark.parametrize("watch", [False, True], ids=["", "on its own connection"])
@pytest.mark.parametrize("how", ["close", "kill"])
def test_the_queue_is_left_by_who_goes_away(redis_server, gate, how, watch):
    client, other = gate.connect(), gate.connect()
    number = client.call("CLIENT", "ID")
    assert not watch or client.call("WATCH", "k") == "OK"
    assert other.call(*acquire("h", "FIFO"))[GRANTED] == 1
    client.command(*wait("gone", "FIFO"))
    wait_until(lambda: other.call("SEM.COUNT", "s") == [1, 0, 1], what="its ticket")
    if how == "kill":
        assert other.call("CLIENT", "KILL", "ID", number) == 1
    else:
        client.close()
    wait_until(lambda: other.call("SEM.COUNT", "s") == [1, 0, 0], timeout=1.5, what="the queue to be left")
    assert redis_server.call("ZCARD", "s") == 1


def test_many_that_come_and_go_leave_nothing(redis_server, gate):
    other = gate.connect()
    assert other.call(*acquire("h"))[GRANTED] == 1
    for number in range(60):
        client = gate.connect()
        client.command(*wait(f"w{number}", *(("FIFO",) if number % 3 else ())))
        if number % 2:
            client.is_silent(0.002)
        client.close()
    assert other.call("SEM.RELEASE", "s", "h") == 1
    wait_until(lambda: other.call("SEM.COUNT", "s") == [0, 0, 0], what="nobody to hold or wait")
    assert other.call(*acquire("h", "FIFO"))[GRANTED] == 1


# ---- the proxy, or the backend, goes away ----

@pytest.mark.parametrize("fifo", [(), ("FIFO",)], ids=["", "fifo"])
def test_sigterm_answers_at_once(redis_server, gate, fifo):
    other, clients = gate.connect(), [gate.connect() for _ in range(6)]
    assert other.call(*acquire("h"))[GRANTED] == 1
    for number, client in enumerate(clients):
        client.command(*wait(f"w{number}", *fifo))
    wait_until(lambda: script_calls(redis_server) >= 7, what="all of them to have asked")
    assert len(redis_server.call("KEYS", "rg:*:[qd]:*")) == (2 if fifo else 0)
    begun = time.monotonic()
    gate.signal(signal.SIGTERM)
    assert [client.read_value()[GRANTED] for client in clients] == [0] * 6
    assert all(client.at_eof() for client in clients)
    assert gate.child.wait(10) == 0 and time.monotonic() - begun < 3
    assert redis_server.call("KEYS", "rg:*:[qd]:*") == []


def test_a_backend_that_was_lost_and_is_back(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={**QUICK, "fallback.when_all_down": "wait",
                                                  "fallback.queue_timeout": "20s"})
    client, other = gate.connect(), gate.connect()
    assert other.call(*acquire("t"))[GRANTED] == 1
    client.command(*wait("u"))
    assert client.is_silent(0.05)
    redis_server.restart()
    assert client.read_value()[GRANTED] == 1, "the new one knows of no holder"
    assert redis_server.call("ZRANGE", "s", 0, -1) == [b"u"]


def test_a_backend_that_was_lost_and_is_not(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={**QUICK, **rule_settings()})
    client, other = gate.connect(), gate.connect()
    assert other.call("LIM.TRY", "jobs", "u", "TOKEN", "t")[GRANTED] == 1
    client.command("LIM.TRY", "jobs", "u", "TOKEN", "w", "WAIT", LONG)
    assert client.is_silent(0.05)
    redis_server.kill()
    answer = client.read_value()
    assert answer[::9] == [0, CLOSED] and len(denials_logged(gate)) == 1


def test_each_outage_is_waited_for_anew(start_redis, start_respgate):
    """A call that waits for a place may meet several, further apart than a call may wait for a backend."""
    server = start_redis(config={"appendonly": "yes"})  # the lease outlives it
    gate = start_respgate(server, settings={**FAST, "fallback.when_all_down": "wait", "fallback.queue_timeout": "700ms"})
    client, other = gate.connect(), gate.connect()
    assert other.call(*acquire("t", lease=LONG))[GRANTED] == 1
    client.command(*wait("w"))
    assert client.is_silent(0.05)
    for silence in (0.6, 0.2):
        server.kill()
        wait_until(lambda: gate.log().count("why=all_down before") > 0, what="the outage to be noticed")
        assert client.is_silent(0.2), client.splitter.buffer
        server.start()
        wait_until(lambda: script_calls(server) > 1, what="it to be asked again")
        assert client.is_silent(silence), client.splitter.buffer
    assert other.call("SEM.RELEASE", "s", "t") == 1 and client.read_value()[GRANTED] == 1


@pytest.mark.parametrize("change", ["continue", "error_once", "close"])
def test_a_switch_while_waiting(start_redis, start_respgate, change):
    two = Pair(start_redis, start_respgate, change)
    with two.gate.connect() as client, two.gate.connect() as other:
        assert other.call(*acquire("t"))[GRANTED] == 1
        client.command(*wait("u", "FIFO"))
        assert client.is_silent(0.05)
        two.first.kill()
        if change == "continue":
            assert client.read_value()[GRANTED] == 1
            assert two.second.call("ZRANGE", "s", 0, -1) == [b"u"]
        elif change == "error_once":
            assert client.read_value().code == "RGSTATE" and client.call(*wait("u"))[GRANTED] == 1
        else:
            assert client.at_eof()


def test_a_rule_that_goes_away_while_waiting(redis_server, start_respgate, tmp_path):
    path = tmp_path / "gate.ini"
    path.write_text("[limit jobs]\n" + "".join(f"{key} = {value}\n" for key, value in RULES["jobs"].items()))
    gate = start_respgate(redis_server, env={"RESPGATE_CONFIG": str(path)})
    client, other = gate.connect(), gate.connect()
    assert other.call("LIM.TRY", "jobs", "u", "TOKEN", "t")[GRANTED] == 1
    client.command("LIM.TRY", "jobs", "u", "TOKEN", "w", "WAIT", LONG, "FIFO")
    wait_until(lambda: other.call("SEM.COUNT", "rl:jobs:u") == [1, 0, 1], what="its ticket")
    path.write_text("")
    gate.signal(signal.SIGHUP)
    answer = client.read_value()
    assert isinstance(answer, ErrorReply) and answer == "ERR no limit rule is named 'jobs'"
    assert client.call("PING") == "PONG"


@pytest.mark.parametrize("text", [b"-NOPERM this user has no permissions\r\n", b"-WRONGTYPE x\r\n", b"-BUSY x\r\n",
                                  b"-OOM x\r\n", b"-READONLY x\r\n"])
def test_an_error_ends_it(fake, start_respgate, text):
    client = start_respgate(fake.url()).connect()
    fake.on("EVAL", reply(text))
    client.command(*wait("u"))
    assert client.read_reply() == text


def test_noscript_is_not_an_answer_and_not_asked_for_ever(fake, start_respgate):
    client = start_respgate(fake.url()).connect()
    client.command(*wait("u"))
    wait_until(lambda: fake.with_command("EVALSHA"), what="it to be asked by the digest")
    fake.once("EVALSHA", reply(b"-NOSCRIPT x\r\n"))
    fake.with_command("EVAL", 2)
    fake.on("EVAL", reply(b"-NOSCRIPT x\r\n"))
    fake.on("EVALSHA", reply(b"-NOSCRIPT x\r\n"))
    assert client.read_value().code == "NOSCRIPT"
