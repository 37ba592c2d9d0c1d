"""What is known of a backend: every error word gives its state and cause, our own lateness is nobody's fault, and a
backend whose commands cost money is not asked more than it must be."""

import sys
import time

import pytest

from harness import ROOT, wait_until
from stats_view import metrics
from test_switch import FAST, status

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply, silence  # noqa: E402

# What PING is answered, and what that makes of the backend.
WORDS = [
    (b"-LOADING Redis is loading the dataset in memory\r\n", "down", "loading"),
    (b"-MASTERDOWN Link with MASTER is down\r\n", "down", "loading"),
    (b"-NOAUTH Authentication required.\r\n", "wrong", "auth"),
    (b"-MOVED 1 127.0.0.1:1\r\n", "wrong", "cluster"),
    (b"-CLUSTERDOWN The cluster is down\r\n", "wrong", "cluster"),
    (b"-ERR max number of clients reached\r\n", "down", "capacity"),
    (b"-ERR max concurrent connections exceeded\r\n", "down", "capacity"),
    (b"-ERR max daily request limit exceeded\r\n", "down", "quota"),
    (b"-ERR max requests limit exceeded.\r\n", "down", "quota"),
    (b"-ERR unknown command 'PING'\r\n", "wrong", "protocol"),
    (b"+PONG\r\n", "wrong", "protocol"),
    (b"$5\r\nwrong\r\n", "wrong", "protocol"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong", "protocol"),
    (b"-READONLY You can't write against a read only replica.\r\n", "down", "role"),
    (b"-BUSY Redis is busy running a script.\r\n", "down", "busy"),
]


@pytest.mark.parametrize("word, state, cause", WORDS, ids=[row[0][1:12].decode().strip() + str(i)
                                                           for i, row in enumerate(WORDS)])
def test_each_error_word_has_its_state_and_its_reason(start_respgate, word, state, cause):
    with FakeRedis() as fake:
        fake.on("PING", reply(word))
        gate = start_respgate(fake.url(), settings={**FAST, "fallback.queue_timeout": "50ms"})
        line = gate.wait_for_log("backend down")
        assert f"state={state} cause={cause}" in line
        if word.startswith(b"-"):
            assert word[1:-2].decode()[:40] in line
        with gate.connect() as client:
            assert str(client.call("SET", "canary", "x")).startswith("RGUNAVAIL")
            assert f"state={state},cause={cause}" in status(client)["backend_default"]
        assert not any(b"canary" in connection.received for connection in fake.connections)


@pytest.mark.parametrize("word", [b"-MISCONF Redis is configured to save\r\n", b"-OOM command not allowed\r\n",
                                  b"-NOREPLICAS Not enough good replicas\r\n", b"-NOPERM no permissions\r\n"])
def test_what_a_switch_would_not_mend_is_no_reason_for_one(start_respgate, word):
    with FakeRedis() as fake:
        fake.on("PING", reply(word))
        fake.on("GET", reply(b"$1\r\nx\r\n"))
        gate = start_respgate(fake.url(), settings=FAST)
        with gate.connect() as client:
            assert client.call("GET", "k") == b"x"


@pytest.mark.parametrize("word, cause", [(b"-READONLY no\r\n", "role"), (b"-LOADING soon\r\n", "loading"),
                                         (b"-ERR max daily request limit exceeded\r\n", "quota")])
def test_an_error_on_the_data_path_brings_a_check_at_once(start_respgate, word, cause):
    with FakeRedis() as fake:
        fake.on("SET", reply(word))
        gate = start_respgate(fake.url(), settings={"health.interval": "1h"})
        with gate.connect() as client:
            gate.wait_for_log("msg=selected")
            assert client.call("SET", "k", "v") == word[1:-2].decode()
            assert f"cause={cause}" in gate.wait_for_log("backend suspect")
            gate.wait_for_log('msg="backend up" backend=default')
            wait_until(lambda: gate.log().count('"backend up"') == 2, what="the check to clear it")


def test_our_own_pause_is_not_the_backends_fault(redis_server, start_redis, start_respgate):
    other = start_redis()
    gate = start_respgate(redis_server, settings={**FAST, "health.timeout": "50ms"}, env={
        "RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_OTHER_URL": other.url(),
        "RESPGATE_BACKEND_OTHER_PRIORITY": "20"})
    gate.wait_for_log("msg=selected")
    for number in range(1, 6):
        gate.pause()
        until = time.monotonic() + 0.4
        wait_until(lambda until=until: time.monotonic() > until, what="the pause to be long enough")
        gate.resume()
        wait_until(lambda number=number: gate.log().count("stood still") == number, what="it to notice")
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK" and status(client)["epoch"] == "1"
    assert "backend down" not in gate.log()


def test_where_commands_cost_money_replies_to_users_stand_for_checks(start_respgate):
    with FakeRedis() as fake:
        fake.on("GET", reply(b"$1\r\nx\r\n"))
        gate = start_respgate(fake.url(), settings={
            "backend.default.metered": "yes", "health.metered_interval": "1200ms", "health.fast_interval": "100ms"})
        with gate.connect() as client:
            gate.wait_for_log("msg=selected")

            def pings():
                return sum(connection.names().count("PING") for connection in fake.connections)

            begun, before = time.monotonic(), pings()
            while time.monotonic() - begun < 4:
                assert client.call("GET", "k") == b"x"
            busy = pings() - before
            before = pings()
            wait_until(lambda: pings() >= before + 2, what="checks of an idle backend")
        assert busy <= 1, f"{busy} checks in 4 s beside users"
        asked = {name for connection in fake.connections for name in connection.names()}
        assert asked <= {"PING", "INFO", "HELLO", "GET"}
        billed = metrics(gate)['respgate_backend_metered_commands_total{backend="default"}']
        assert billed == sum(connection.names().count("GET") for connection in fake.connections)


def test_a_backend_that_never_answers_a_check_is_out_of_time(start_respgate):
    with FakeRedis() as fake:
        fake.on("PING", silence())
        gate = start_respgate(fake.url(), settings={
            "backend.default.connect_timeout": "200ms", "health.timeout": "200ms", "health.fast_interval": "100ms"})
        assert 'reason="no answer at ping within 200 ms"' in gate.wait_for_log("backend down")


def test_when_nothing_is_usable_the_answer_is_at_once_and_it_recovers(start_redis, start_respgate, figure):
    server = start_redis()
    gate = start_respgate(server, settings={**FAST, "fallback.when_all_down": "none"})
    with gate.connect() as client:
        gate.wait_for_log("msg=selected")
        assert client.call("SET", "k", "v") == "OK"
        server.kill()
        gate.wait_for_log("backend=none")
        times = []
        for _ in range(200):
            begun = time.monotonic()
            assert str(client.call("SET", "k", "v")).startswith("RGUNAVAIL")
            times.append((time.monotonic() - begun) * 1000)
        figure(f"-RGUNAVAIL with nothing usable after {sorted(times)[100]:.2f} ms, median of 200")
        server.start()
        wait_until(lambda: client.call("SET", "k", "v") == "OK", what="it to be used again")
