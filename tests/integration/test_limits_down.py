"""No backend can decide: what every limiter command is answered by its on_backend_down, how long that takes, and how it
ends."""

import signal
import time

import pytest

from harness import ErrorReply, encode, wait_until
from limits import (CLOSED, COST, COUNTING, LOCAL, OPEN, RULES, denials_logged, rule_settings, take, timeless)
from test_switch import FAST

RETRY_MS = 1000
UNAVAILABLE = "RGUNAVAIL"
LIMIT = [("LIM.GCRA", "k", 5, 5, 3600000), ("LIM.WINDOW", "k", 5, 3600000), ("LIM.SLIDE", "k", 5, 3600000),
         ("LIM.SLIDE", "k", 5, 3600000, "LOG"), ("LIM.WINDOW", "k", 5, 3600000, "IDEM", "i"),
         ("LIM.GCRA", "k", 5, 5, 3600000, "DELAY", 1000)]
SEMAPHORE = [("SEM.ACQUIRE", "k", 5, 30000, "t"), ("SEM.ACQUIRE", "k", 5, 30000, "t", "FIFO", "SLOTS"),
             ("SEM.ACQUIRE", "k", 5, 30000, "t", "WAIT", 60000)]
NOTHING_TO_SAY = [("LIM.REFUND", "k", "WINDOW", 5, 1000, "COST", 1), ("LIM.RESET", "k"), ("SEM.RENEW", "k", "t", 1000),
                  ("SEM.RELEASE", "k", "t"), ("SEM.CHECK", "k", "t"), ("SEM.COUNT", "k"), ("SEM.HOLDERS", "k"),
                  ("SEM.REVOKE", "k", "*"), ("INCREX", "k")]
MULTI = ("LIM.MULTI", 3, "a", "b", "c", "GCRA", 5, 5, 1000, "WINDOW", 5, 1000, "COST", 2, "SEM", 2, 30000, "t")
QUICK = {**FAST, "fallback.when_all_down": "none"}
PATIENT = {**FAST, "fallback.when_all_down": "wait", "fallback.queue_timeout": "300ms"}


def down_settings(policy, **more):
    """Rules and [limiter] with this policy; semaphores are not counted here."""
    rules = rule_settings(on_backend_down=policy)
    if policy == "local":
        rules["limit.jobs.on_backend_down"] = "deny"
    return {**QUICK, **rules, "limiter.on_backend_down": policy, **more}


@pytest.fixture
def without(start_redis, start_respgate):
    """Factory: a respgate whose Redis has gone, and that Redis."""
    def start(policy, **more):
        server = start_redis()
        gate = start_respgate(server, settings=down_settings(policy, **more))
        with gate.connect() as client:
            assert client.call("PING") == "PONG"
            server.kill()
            wait_until(lambda: isinstance(client.call("GET", "k"), ErrorReply), what="it to be missed")
            if "fallback.when_all_down" not in more:
                gate.wait_for_log("why=all_down before")
        return gate, server
    return start


def expected(policy, limit=5, cost=1):
    """The LIMIT reply."""
    if policy == "allow":
        return [1, limit, limit - cost, -1, 0, 0, 0, OPEN]
    return [0, limit, 0, RETRY_MS, RETRY_MS, RETRY_MS, 0, CLOSED]


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("policy", ["deny", "allow"])
def test_every_command_without_a_backend(without, policy, resp):
    gate, _ = without(policy)
    client = gate.connect()
    client.call("HELLO", resp)
    allow = policy == "allow"
    for command in LIMIT + [("LIM.TRY", name, "u") for name in COUNTING]:
        assert client.call(*command) == expected(policy), command
        cost = client.call(*command, "COST", 6)
        assert cost[::7] == [0, COST] and cost[3] == -2, command
    assert client.call("LIM.GCRA", "k", 5, 5, 1000, "COST", 3)[2] == (2 if allow else 0)
    for command in SEMAPHORE + [("LIM.TRY", "jobs", "u", "TOKEN", "t")]:
        limit = 1 if command[0] == "LIM.TRY" else 5
        answer = [1, 1, limit, 30000, 0, -1, 0, -1, -1, OPEN] if allow else \
            [0, limit, limit, 0, 0, -1, 0, RETRY_MS, -1, CLOSED]
        assert client.call(*command) == answer, command
    assert client.call("SEM.ACQUIRE", "k", 2, 30000, "t", "COST", 3)[::9] == [0, COST]
    assert client.call("CL.THROTTLE", "k", 4, 1, 1) == ([0, 5, 4, -1, 0] if allow else [1, 5, 0, 1, 1])
    assert client.call("CL.THROTTLE", "k", 4, 1, 1, 6)[:2] == [1, 5] and client.call("CL.THROTTLE", "k", 4, 1, 1, 6)[3] == -1
    whole = client.call(*MULTI)
    assert whole[:3] == ([1, -1, -1] if allow else [0, 0, RETRY_MS]) and [len(each) for each in whole[3]] == [8, 8, 10]
    assert whole[3][0] == expected(policy)
    for command in NOTHING_TO_SAY:
        assert client.call(*command).code == UNAVAILABLE, command
    assert client.call("LIM.TRY", "none", "u") == "ERR no limit rule is named 'none'"
    assert client.call("SEM.ACQUIRE", "k") == "ERR wrong number of arguments for 'sem.acquire' command"
    assert len(denials_logged(gate)) == 1 and f"on_backend_down={policy}" in denials_logged(gate)[0]


def test_counted_here(without):
    gate, _ = without("local", **{"listen.workers": 1})
    client = gate.connect()
    for command in [("LIM.TRY", name, "u") for name in COUNTING] + LIMIT[:4]:
        key = (command[0], f"k{command}", *command[2:]) if command[0] != "LIM.TRY" else command
        answers = [client.call(*key) for _ in range(6)]
        assert [answer[0] for answer in answers] == [1] * 5 + [0], command
        assert {answer[7] for answer in answers} == {LOCAL}
        assert client.call(*key, "PEEK")[2] == 0
    assert [client.call("CL.THROTTLE", "t", 4, 1, 60)[:3] for _ in range(6)] == \
        [[0, 5, left] for left in (4, 3, 2, 1, 0)] + [[1, 5, 0]]
    assert client.call("LIM.TRY", "jobs", "u", "TOKEN", "t")[::9] == [0, CLOSED]
    assert client.call("SEM.ACQUIRE", "k", 5, 30000, "t")[::9] == [0, CLOSED]
    assert client.call(*MULTI)[0] == 0
    assert client.call("LIM.TRY", "win", "v", "COST", 6)[7] == COST


@pytest.mark.parametrize("share,workers,admitted", [(100, 1, 10), (50, 1, 5), (33, 1, 3), (100, 2, 5), (50, 2, 2), (1, 2, 1)])
def test_local_share(without, share, workers, admitted):
    """What each worker grants."""
    gate, _ = without("local", **{"listen.workers": workers, "limiter.local_share": share, "limit.win.rate": "10/1h",
                                  "limit.win.local_share": share})
    client = gate.connect()
    assert sum(take(client, "win")[0] for _ in range(12)) == admitted
    assert sum(client.call("LIM.WINDOW", "k", 10, 3600000)[0] for _ in range(12)) == admitted


def test_shadow_denies_nothing_here_either(without):
    gate, _ = without("deny", **rule_settings(shadow="yes"))
    client = gate.connect()
    for name in RULES:
        assert take(client, name)[0] == 1, name


def test_a_rule_goes_before_the_default(without):
    gate, _ = without("deny", **{"limit.win.on_backend_down": "allow"})
    client = gate.connect()
    assert take(client, "win")[0] == 1 and take(client, "api")[0] == 0 and client.call(*LIMIT[0])[0] == 0


@pytest.mark.parametrize("policy", ["deny", "allow", "local"])
def test_it_ends_without_a_restart(without, policy):
    gate, server = without(policy)
    client = gate.connect()
    assert take(client, "win")[7] in (CLOSED, OPEN, LOCAL)
    client.call("SEM.ACQUIRE", "k", 1, 30000, "t")
    server.start()
    wait_until(lambda: take(client, "win", "PEEK")[7] == 0, what="the backend to decide again")
    assert timeless(take(client, "win")) == [1, 5, 4, -1, 0, 0, 1, 0]
    assert client.call("SEM.ACQUIRE", "k", 1, 30000, "u")[::9] == [1, 0]
    server.kill()
    wait_until(lambda: take(client, "win")[7] in (CLOSED, OPEN, LOCAL), what="the next outage")
    wait_until(lambda: len(denials_logged(gate)) == 2, what="it to be logged again")


def test_in_a_pipeline_and_behind_others(without):
    gate, _ = without("deny")
    client = gate.connect()
    client.send((encode("GET", "k") + encode("LIM.TRY", "win", "u") + encode("PING")) * 20)
    for _ in range(20):
        assert client.read_value().code == UNAVAILABLE and client.read_value() == expected("deny")
        assert isinstance(client.read_value(), (str, ErrorReply))


def test_in_silence(without):
    gate, _ = without("allow")
    client = gate.connect()
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode("LIM.TRY", "win", "u") + encode("RESPGATE", "STATUS"))
    assert b"backend" in client.read_value()


# ---- when one may come back ----

@pytest.mark.parametrize("policy", ["deny", "allow", "local"])
def test_it_is_waited_for_and_then_answered(start_redis, start_respgate, policy):
    server = start_redis()
    gate = start_respgate(server, settings=down_settings(policy, **PATIENT))
    client = gate.connect()
    assert take(client, "win")[0] == 1
    server.kill()
    gate.wait_for_log("why=all_down before")
    begun = time.monotonic()
    client.send(encode("LIM.TRY", "win", "u") + encode("LIM.GCRA", "k", 5, 5, 1000) + encode("SEM.COUNT", "k"))
    replies = [client.read_value() for _ in range(3)]
    taken = time.monotonic() - begun
    assert [reply[7] for reply in replies[:2]] == [{"deny": CLOSED, "allow": OPEN, "local": LOCAL}[policy]] * 2
    assert replies[2].code == UNAVAILABLE
    assert 0.25 < taken < 3


def test_it_comes_back_in_time(start_redis, start_respgate):
    server = start_redis()
    gate = start_respgate(server, settings=down_settings("deny", **{**PATIENT, "fallback.queue_timeout": "20s"}))
    clients = [gate.connect() for _ in range(10)]
    assert [take(client, "win")[0] for client in clients] == [1] * 5 + [0] * 5
    server.kill()
    gate.wait_for_log("why=all_down before")
    for client in clients:
        client.send(encode("LIM.TRY", "win", "u") + encode("INCR", "n"))
    server.start()
    assert sorted(client.read_value()[0] for client in clients) == [0] * 5 + [1] * 5
    assert sorted(client.read_value() for client in clients) == list(range(1, 11))
    assert not denials_logged(gate)


def test_a_backend_that_hangs(start_redis, start_respgate):
    """What was sent is unknown, as for any command: a late script is not undone."""
    server = start_redis()
    gate = start_respgate(server, settings=down_settings("deny", **{"backend.default.command_timeout": "400ms"}))
    client, other = gate.connect(), gate.connect()
    assert take(client, "win")[0] == 1
    server.pause()
    client.command("LIM.TRY", "win", "u")
    assert client.read_value().code in ("RGUNKNOWN", UNAVAILABLE)
    wait_until(lambda: not isinstance(answer := take(other, "win"), ErrorReply) and answer[7] == CLOSED,
               what="the backend to be given up")
    server.resume()
    wait_until(lambda: take(other, "win", "PEEK")[7] == 0, what="it to be back")


def test_nothing_was_ever_there(start_respgate):
    gate = start_respgate("redis://127.0.0.1:1/0", settings=down_settings("allow"))
    client = gate.connect()
    assert wait_until(lambda: take(client, "win"), what="an answer") == expected("allow")


def test_sigterm_while_it_is_waited_for(start_redis, start_respgate):
    server = start_redis()
    gate = start_respgate(server, settings=down_settings("deny", **PATIENT))
    client = gate.connect()
    assert take(client, "win")[0] == 1
    server.kill()
    gate.wait_for_log("why=all_down before")
    client.command("LIM.TRY", "win", "u")
    gate.signal(signal.SIGTERM)
    assert client.read_value()[7] == CLOSED and client.at_eof()
    assert gate.child.wait(10) == 0
