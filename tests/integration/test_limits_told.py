"""Proves what RESPGATE LIMITS and LEASES tell, to whom, and what they do not."""

import re

import pytest

from harness import ErrorReply, wait_until
from limits import COUNTING, RULES, rule_settings, take
from stats_view import fetch, wait_for_metric
from test_limits_down import QUICK
from test_limits_metrics import REPAIRS

TOKEN = "3f1c-a-token"


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with rules of each kind, and five places for a minute each."""
    return start_respgate(redis_server, settings={**rule_settings({**RULES, **REPAIRS}), "limit.jobs.max": 5,
                                                  "limit.jobs.lease": "60s"})


def lines(client, *words):
    """The answer to a RESPGATE command."""
    return client.call("RESPGATE", *words).decode().splitlines()


def numbers(client, *words):
    """The same of lines with a number each."""
    return {name: int(value) for name, value in (line.split(":") for line in lines(client, "LEASES", *words))}


def test_limits_tells_each_with_its_numbers_and_counts(gate):
    client = gate.connect()
    for _ in range(7):
        take(client, "api")
    client.call("LIM.GCRA", "k", 1, 1, 1000)
    client.call("ZCARD", "concurrent:a")
    wait_for_metric(gate, 'respgate_repair_checks_total{limit="slots"}', 1)
    told = lines(client, "LIMITS")
    assert [line.split()[:3] for line in told] == [
        ["api", "gcra", "deny"], ["jobs", "semaphore", "deny"], ["log", "slide-log", "deny"], ["sld", "slide", "deny"],
        ["win", "window", "deny"], ["slots", "zset", "enforce"], ["seen", "zset", "observe"], ["hits", "incr", "observe"],
        ["(none)", "none", "deny"]]
    assert re.search(r"  5/1h, burst 5: 5 admitted, 2 denied, the last denial \d+\.\ds ago$", told[0])
    assert told[1].endswith("max 5, lease 60s: 0 admitted, 0 denied")
    assert told[5].endswith("key:concurrent:*, max 2: 1 checks, 0 refused, 0 acts")
    assert told[-1].endswith(": 1 admitted, 0 denied")
    assert "\n".join(told[:1]).split(", the last")[0] in fetch(gate, "/top")[1]


def test_leases_of_this_process_are_told_without_asking_the_backend(gate, redis_server):
    client = gate.connect()
    for number in range(3):
        take(client, "jobs", "TOKEN", f"{TOKEN}{number}")
    take(client, "jobs", "TOKEN", TOKEN, subject="v")
    wait_for_metric(gate, 'respgate_semaphore_leases{limit="jobs"}', 4)
    redis_server.kill()
    told = lines(client, "LEASES")
    assert re.match(r"jobs +4 places held, the fullest key has 3 of 5, the first ends in 5\d\.\ds; 0 wait; 4 granted, "
                    r"0 resumed, 0 given back, 0 expired$", told[0])
    assert len(told) == 2 and told[1].startswith("(none) ")
    assert TOKEN not in str(told)


def test_places_of_one_semaphore_are_asked_of_the_backend(gate, redis_server):
    client, other = gate.connect(), redis_server.connect()
    assert numbers(client, "jobs", "u") == {"held": 0, "max": 5, "reserved": 0, "waiting": 0, "first_ends_ms": -1,
                                            "last_ends_ms": -1}
    take(client, "jobs", "TOKEN", TOKEN)
    take(client, "jobs", "TOKEN", "another", "COST", 2)
    client.call("SEM.RENEW", "rl:jobs:u", "another", 90_000)
    told = numbers(client, "jobs", "u")
    assert told["held"] == 3 and 50_000 < told["first_ends_ms"] <= 60_000 < told["last_ends_ms"] <= 90_000
    assert TOKEN not in str(lines(client, "LEASES", "jobs", "u"))
    assert numbers(client, "jobs")["held"] == 0, "without a subject it is the key that is the prefix"
    other.call("ZADD", "rl:jobs:u", 1, "expired")
    assert numbers(client, "jobs", "u")["held"] == 3
    other.call("DEL", "rl:jobs:u")
    other.call("SET", "rl:jobs:u", "x")
    assert "WRONGTYPE" in client.call("RESPGATE", "LEASES", "jobs", "u")
    client.call("HELLO", 3)
    assert numbers(client, "jobs", "w")["held"] == 0


def test_who_waits_in_line_is_counted(gate):
    client, waiter = gate.connect(), gate.connect()
    for number in range(5):
        take(client, "jobs", "TOKEN", str(number))
    waiter.command("LIM.TRY", "jobs", "u", "TOKEN", "w", "WAIT", 60_000, "FIFO")
    wait_until(lambda: numbers(client, "jobs", "u")["waiting"] == 1, what="the one that waits")
    waiter.close()


def test_what_cannot_be_told(gate):
    client = gate.connect()
    for name in [*COUNTING, "slots", "nothing", "(none)"]:
        assert client.call("RESPGATE", "LEASES", name, "u") == ErrorReply("ERR no semaphore rule is of that name")
    assert client.call("RESPGATE", "LEASES", "jobs", "u", "v").startswith("ERR unknown subcommand")
    assert client.call("PING") == "PONG"


def test_without_a_backend_it_says_that_it_does_not_know(start_respgate):
    gate = start_respgate("redis://127.0.0.1:1/0", settings={**QUICK, **rule_settings()})
    wait_for_metric(gate, 'respgate_backend_state{backend="default",state="down"}', 1)
    with gate.connect() as client:
        assert client.call("RESPGATE", "LEASES", "jobs", "u").startswith("RGUNAVAIL ")


def test_the_backend_decides_who_may_ask(start_respgate, start_redis):
    """Each client asks as its own user."""
    server = start_redis()
    server.call("ACL", "SETUSER", "ops", "on", ">p1", "~rl:jobs:*", "~rg:*", "+eval", "+evalsha", "+time", "+@sortedset")
    server.call("ACL", "SETUSER", "web", "on", ">p2", "~rl:jobs:*", "~rg:*", "+get", "+ping")
    server.call("ACL", "SETUSER", "else", "on", ">p3", "~x:*", "+@all")
    gate = start_respgate(server, settings={**rule_settings(), "listen.auth": "backend"})
    for user, password, refused in (("ops", "p1", ""), ("web", "p2", "NOPERM"), ("else", "p3", "NOPERM")):
        with gate.connect() as client:
            assert client.call("AUTH", user, password) == "OK"
            told = client.call("RESPGATE", "LEASES", "jobs", "u")
            assert isinstance(told, ErrorReply) == bool(refused) and refused in str(told), user
