"""Limiter commands in pipelines while backends forget scripts, restart and change: every reply in its place and of its
type, no NOSCRIPT, and the ledger tells what the clients were told. LIMITS_ROUNDS=200 makes a long run of it.
"""

import os

import pytest

from failover import P500
from harness import wait_until
from limitpipes import Pipes, summed
from wire import encode

ROUNDS = int(os.environ.get("LIMITS_ROUNDS", "4"))
CLIENTS = 4


@pytest.fixture
def start_pipes():
    """Factory: so many clients of respgate on that port; all end with the test."""
    started = []

    def start(port):
        clients = [Pipes(port, f"c{number}", number) for number in range(CLIENTS)]
        started.extend(clients)
        return clients

    yield start
    for client in started:
        client.over.set()


def replies(clients):
    """How many replies there were so far."""
    return sum(client.seen["replied"] for client in clients)


def wait_for_more(clients, number):
    """Until that many more replies have come; fails as soon as one is wrong."""
    enough = replies(clients) + number

    def there():
        assert not any(client.wrong for client in clients), [client.wrong[:3] for client in clients]
        return replies(clients) >= enough
    wait_until(there, 30, lambda: f"{number} more replies: {summed(clients)}")


def end(clients, gate):
    """What they saw, compared with what the gate's ledger says."""
    for client in clients:
        client.stop()
    seen = summed(clients)
    assert not any(client.wrong for client in clients), [client.wrong[:3] for client in clients]
    gate.finish()
    ledger = gate.stats_at_exit()
    assert (ledger["replied"], ledger["unavailable"], ledger["unknown"], ledger["state"], ledger["client_gone"]) == (
        seen["replied"], seen["RGUNAVAIL"], seen["RGUNKNOWN"], seen["RGSTATE"], 0)
    return seen


def test_scripts_are_forgotten_under_load(redis_server, start_respgate, start_pipes, figure):
    gate = start_respgate(redis_server)
    clients = start_pipes(gate.port)
    with redis_server.connect() as behind:
        for number in range(25 * ROUNDS):
            wait_for_more(clients, 50 + 7 * (number % 9))
            assert behind.call("SCRIPT", "FLUSH") == "OK"
    seen = end(clients, gate)
    healed = int(gate.wait_for_log("scripts_healed").split("scripts_healed=")[1].split()[0])
    figure(f"{25 * ROUNDS} times SCRIPT FLUSH under limiter load: {seen['replied']} replies, {healed} calls sent again, "
           "0 NOSCRIPT, 0 out of order")
    assert healed > 0 and seen["replied"] == sum(seen.values())
    for client in clients:
        assert int(redis_server.call("GET", f"i:{client.key}") or 0) == client.added


def test_a_backend_restarts_under_load(redis_server, start_respgate, start_pipes, figure):
    gate = start_respgate(redis_server, settings=P500)
    clients = start_pipes(gate.port)
    for _ in range(ROUNDS):
        wait_for_more(clients, 500)
        redis_server.kill()
        redis_server.start()
    wait_for_more(clients, 500)
    seen = end(clients, gate)
    figure(f"{ROUNDS} restarts of the backend under limiter load: {seen}, 0 NOSCRIPT, 0 out of order")
    assert seen["RGUNKNOWN"] > 0


def test_backends_change_under_load(start_redis, start_respgate, start_pipes, figure):
    first, second = start_redis(), start_redis()
    env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": second.url(),
           "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
    gate = start_respgate(first, settings=P500, env=env)
    clients = start_pipes(gate.port)

    def calls(server):
        with server.connect() as behind:
            return int(behind.call("INFO", "stats").split(b"total_commands_processed:")[1].split()[0])

    for number in range(ROUNDS):
        wait_for_more(clients, 500)
        before = calls(second)
        if number % 2:
            first.pause()
        else:
            first.kill()
        wait_until(lambda before=before: calls(second) > before + 500, 20, what="the second to be used")
        wait_for_more(clients, 500)
        if number % 2:
            first.resume()
        else:
            first.start()
        before = calls(first)
        wait_until(lambda before=before: calls(first) > before + 500, 20, what="the first to be used again")
    seen = end(clients, gate)
    figure(f"{2 * ROUNDS} changes of the backend under limiter load: {seen}, 0 NOSCRIPT, 0 out of order")


@pytest.mark.parametrize("guard", [("MULTI",), ("WATCH", "k")])
def test_what_a_lost_guard_was_to_guard_does_not_run(redis_server, start_respgate, guard):
    gate = start_respgate(redis_server)
    client = gate.connect()
    assert client.call("MULTI") == "OK" and client.call("DISCARD") == "OK"  # it has a connection of its own
    redis_server.pause()
    client.send(b"".join(encode(*command) for command in (
        guard, ("SET", "k", "v"), ("CL.THROTTLE", "t", 1, 1, 60), ("EXEC",))))
    assert client.is_silent(0.2)
    redis_server.kill()
    redis_server.start()
    assert client.read_value().code in ("RGUNKNOWN", "RGSTATE") and client.at_eof()
    with gate.connect() as another:
        assert another.call("GET", "k") is None and another.call("GET", "t") is None
