"""NOSCRIPT healing: a backend that forgot a script which respgate has seen is taught it again, once, in order, and
outside MULTI only; what respgate has not seen fails as in Redis."""

import hashlib

import pytest

from backend_view import command_calls
from harness import encode, wait_until
from taken import wait_taken

BODY = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
SHA = hashlib.sha1(BODY.encode()).hexdigest()
NOSCRIPT = "NOSCRIPT No matching script. Please use EVAL."


def run(number):
    """EVALSHA of the script with this argument."""
    return ("EVALSHA", SHA, 1, "l", number)


def pushed(server):
    """What the script has done so far, in order."""
    return [int(item) for item in server.call("LRANGE", "l", 0, -1)]


@pytest.fixture
def client(respgate):
    """A client of one worker, which has loaded the script."""
    connection = respgate.connect()
    assert connection.call("SCRIPT", "LOAD", BODY) == SHA.encode()
    return connection


@pytest.mark.threads
@pytest.mark.parametrize("teach", [("SCRIPT", "LOAD", BODY), ("EVAL", BODY, 1, "other", 0)], ids=["LOAD", "EVAL"])
@pytest.mark.parametrize("how", [run(1), ("evalsha", SHA.upper(), 1, "l", 1)], ids=["plain", "upper case"])
def test_a_script_that_the_backend_forgot_runs_once_all_the_same(redis_server, respgate, teach, how):
    client = respgate.connect()
    client.command(*teach)
    client.read_reply()
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    assert client.call(*how) == 1
    assert pushed(redis_server) == [1]
    assert client.call(*run(2)) == 2


def test_read_only_calls_are_healed_as_well(redis_server, respgate):
    client = respgate.connect()
    body = "return redis.call('GET', KEYS[1])"
    assert client.call("EVAL_RO", body, 1, "k") is None
    assert redis_server.call("SCRIPT", "FLUSH") == "OK" and redis_server.call("SET", "k", "v") == "OK"
    assert client.call("EVALSHA_RO", hashlib.sha1(body.encode()).hexdigest(), 1, "k") == b"v"


def test_a_script_nobody_sent_fails_as_in_redis(redis_server, respgate):
    client = respgate.connect()
    assert client.call(*run(1)) == NOSCRIPT == redis_server.call(*run(1))
    assert pushed(redis_server) == []


def test_a_script_loaded_past_respgate_is_found_and_not_healed_once_flushed(redis_server, respgate):
    client = respgate.connect()
    assert redis_server.call("SCRIPT", "LOAD", BODY) == SHA.encode()
    assert client.call(*run(1)) == 1
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    assert client.call(*run(2)) == NOSCRIPT


def test_inside_multi_noscript_passes(redis_server, client):
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    client.send(encode("MULTI") + encode(*run(1)) + encode("EXEC"))
    assert [client.read_value() for _ in range(3)] == ["OK", "QUEUED", [NOSCRIPT]]
    assert client.call("MULTI") == "OK" and client.call(*run(1)) == "QUEUED" and client.call("EXEC") == [NOSCRIPT]
    assert pushed(redis_server) == []


def test_inside_multi_noscript_passes_after_a_restart_as_well(redis_server, client):
    redis_server.restart()
    wait_until(lambda: client.call("PING") == "PONG", what="the backend to be used")
    assert client.call("MULTI") == "OK" and client.call(*run(1)) == "QUEUED" and client.call("EXEC") == [NOSCRIPT]
    assert "eval" not in command_calls(redis_server)
    assert client.call(*run(1)) == 1


@pytest.mark.threads
@pytest.mark.parametrize("burst", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_script_flush_by_any_client_is_obeyed(redis_server, start_respgate, workers, burst):
    gate = start_respgate(redis_server, settings={"listen.workers": workers})
    clients = [gate.connect() for _ in range(4 * workers)]  # some of them on each worker, most likely
    for client in clients:
        assert client.call("SCRIPT", "LOAD", BODY) == SHA.encode()
    if burst:
        clients[0].send(encode("MULTI") + encode("SCRIPT", "FLUSH") + encode("EXEC"))
        assert [clients[0].read_value() for _ in range(3)] == ["OK", "QUEUED", ["OK"]]
    else:
        assert clients[0].call("SCRIPT", "FLUSH") == "OK"
    assert [client.call(*run(1)) for client in clients] == [NOSCRIPT] * len(clients)


def test_healing_never_changes_the_order_of_a_pipeline(redis_server, client):
    """With something behind it in flight the error passes: the later command may have run already."""
    assert client.call(*run(0)) == 1
    redis_server.pause()
    client.send(encode(*run(1)) + encode("RPUSH", "l", 2) + encode(*run(3)) + encode("RPUSH", "l", 4))
    wait_taken(client.socket)
    redis_server.resume()
    assert [client.read_value() for _ in range(4)] == [2, 3, 4, 5]
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    client.send(encode(*run(5)) + encode("RPUSH", "l", 6) + encode(*run(7)) + encode("RPUSH", "l", 8))
    values = [client.read_value() for _ in range(4)]
    done = pushed(redis_server)
    assert done == sorted(done), "a healed script overtook or was overtaken"
    expected = [number for number, value in zip((5, 6, 7, 8), values) if value != NOSCRIPT]
    assert done == [0, 1, 2, 3, 4, *expected] and {6, 8} <= set(expected)


@pytest.mark.threads
def test_calls_in_flight_of_many_clients_are_each_healed_once(redis_server, respgate):
    clients = [respgate.connect() for _ in range(10)]
    for connection in clients:
        assert connection.call("SCRIPT", "LOAD", BODY) == SHA.encode()
    for turn in range(10):
        assert redis_server.call("SCRIPT", "FLUSH") == "OK"
        for number, connection in enumerate(clients):
            connection.command(*run(turn * 10 + number))
        assert all(isinstance(connection.read_value(), int) for connection in clients)
    assert sorted(pushed(redis_server)) == list(range(100))


@pytest.mark.threads
def test_after_a_restart_of_the_backend_scripts_and_their_order_are_as_before(redis_server, client):
    assert client.call(*run(1)) == 1
    redis_server.restart()
    client.send(encode(*run(1)) + encode("RPUSH", "l", 2) + encode(*run(3)) + encode("RPUSH", "l", 4))
    values = [client.read_value() for _ in range(4)]
    if values[0] != 1:  # the loss of the connection was seen only now
        assert {getattr(value, "code", "") for value in values} == {"RGUNKNOWN"}
        client.send(encode(*run(1)) + encode("RPUSH", "l", 2) + encode(*run(3)) + encode("RPUSH", "l", 4))
        values = [client.read_value() for _ in range(4)]
    assert values == [1, 2, 3, 4] and pushed(redis_server) == [1, 2, 3, 4]
    calls = command_calls(redis_server)
    assert calls["eval"] == 1 and calls["evalsha"] == 1


def test_without_a_script_cache_nothing_is_healed(redis_server, start_respgate):
    client = start_respgate(redis_server, settings={"listen.script_cache": 0}).connect()
    assert client.call("SCRIPT", "LOAD", BODY) == SHA.encode()
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    assert client.call(*run(1)) == NOSCRIPT


def test_the_script_cache_is_bounded_and_forgets_what_was_used_least(redis_server, start_respgate):
    client = start_respgate(redis_server, settings={"listen.script_cache": "64KiB", "listen.workers": 1}).connect()
    assert client.call("SCRIPT", "LOAD", BODY) == SHA.encode()
    filler = [f"return {number} --{'x' * 10_000}" for number in range(10)]
    for body in filler:
        assert isinstance(client.call("SCRIPT", "LOAD", body), bytes)
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    assert client.call("EVALSHA", hashlib.sha1(filler[-1].encode()).hexdigest(), 0) == 9
    assert client.call(*run(1)) == NOSCRIPT
    assert client.call("EVALSHA", hashlib.sha1(filler[0].encode()).hexdigest(), 0) == NOSCRIPT


def test_a_muted_call_is_healed_in_silence(redis_server, client):
    assert redis_server.call("SCRIPT", "FLUSH") == "OK"
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode(*run(1)))
    wait_until(lambda: pushed(redis_server) == [1], what="the script to have run")
    assert client.is_silent(0.05) and client.call("LLEN", "l") == 1


def test_errors_of_a_script_itself_are_not_healed(redis_server, respgate):
    client = respgate.connect()
    body = "return redis.error_reply('NOSCRIPT No matching script. Please use EVAL.')"
    client.command("EVAL", body, 0)
    first = client.read_reply()
    assert first.startswith(b"-NOSCRIPT")
    client.command("EVALSHA", hashlib.sha1(body.encode()).hexdigest(), 0)
    assert client.read_reply() == first
    assert redis_server.call("PING") == "PONG"
