"""Rules of repair on the way: racy clients that nobody changed keep to their limits, and all else goes as it did."""

import re
import signal

import pytest
import redis

from failover import P500
from harness import ErrorReply, encode, wait_until
from incident_app import Crowd, Slots, together
from limits import rule_settings

RUNS = {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "5"}
HITS = {"kind": "incr", "match": "key:rl:*", "mode": "enforce", "ttl": "60s"}
TRIES = {"kind": "counter", "match": "key:otp:*", "mode": "enforce", "max": "3", "ttl": "60s"}
RULES = {"runs": RUNS, "hits": HITS, "tries": TRIES}


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with a rule for each way of limiting."""
    return start_respgate(redis_server, settings=rule_settings(RULES))


def pool_of(port, size):
    """A redis-py client whose threads share so many connections, so that they swap them."""
    return redis.Redis(connection_pool=redis.BlockingConnectionPool(max_connections=size, port=port, timeout=30))


def reservations(server, key):
    """How many of them a key has."""
    names = [name for name in server.call("KEYS", "rg:*") if name.endswith(f":p:{key}".encode())]
    return sum(server.call("ZCARD", name) for name in names)


# ---- the incident ----

@pytest.mark.parametrize("size", [16, 20])
def test_all_ask_before_anyone_acts(redis_server, gate, size):
    assert together(pool_of(redis_server.port, size), 16, 5, "direct") == 16
    assert together(pool_of(gate.port, size), 16, 5) == 5
    assert redis_server.call("ZCARD", "concurrent:agent:7") == 5


@pytest.mark.threads
@pytest.mark.parametrize("size", [16, 3], ids=["a connection each", "connections swapped"])
def test_a_crowd_never_exceeds_its_limit(gate, figure, size):
    client, crowd = pool_of(gate.port, size), Crowd()
    most = crowd.run([(Slots(client, 5), 60, 0.004)] * 16)
    figure(f"{crowd.runs} runs of 16 threads over {size} connections: at most {most} at one time (5 allowed)")
    assert most <= 5 and crowd.runs > 60


@pytest.mark.threads
def test_several_applications_share_a_limit(start_respgate, redis_server):
    gates = [start_respgate(redis_server, settings=rule_settings(RULES)) for _ in range(2)]
    crowd = Crowd()
    slots = [Slots(pool_of(gate.port, 8), 5) for gate in gates]
    assert crowd.run([(slots[i % 2], 40, 0.004) for i in range(16)]) <= 5 < crowd.runs


# ---- one client ----

def test_a_check_reserves_and_its_act_takes(redis_server, gate):
    client, key = gate.connect(), "concurrent:a"
    assert [client.call("ZCARD", key) for _ in range(2)] == [0, 1]
    assert reservations(redis_server, key) == 2
    assert client.call("ZADD", key, 1, "m") == 1 and reservations(redis_server, key) == 1
    assert client.call("ZADD", key, 2, "m") == 0 and reservations(redis_server, key) == 1
    assert client.call("ZADD", key, "XX", 3, "m") == 0 and client.call("ZREM", key, "m") == 1
    assert client.call("ZADD", "elsewhere", 1, "m") == 1 and client.call("ZCARD", "elsewhere") == 1
    assert not reservations(redis_server, "elsewhere")


@pytest.mark.parametrize("resp", [2, 3])
def test_replies_are_the_commands_own(redis_server, gate, resp):
    direct, client = redis_server.connect(), gate.connect()
    for connection in (direct, client):
        connection.call("HELLO", resp)
    direct.call("SELECT", 1)
    for number, command in enumerate([
            ("ZCARD", "z"), ("ZADD", "z", 1, "a"), ("ZADD", "z", "INCR", 1.5, "a"), ("ZINCRBY", "z", 2, "b"),
            ("ZADD", "z", "NX", "INCR", 1, "a"), ("ZADD", "z", "x", "a"), ("ZADD", "z", 1), ("ZADD", "z", "NX", "XX", 1, "a"),
            ("ZCOUNT", "z", 0, "+inf"), ("ZCOUNT", "z", "a", "b"), ("SADD", "z", 1), ("ZREM", "z", "a")]):
        named = [("concurrent:" if i == 1 else "") + str(word) for i, word in enumerate(command)]
        for connection, words in ((direct, command), (client, named)):
            connection.send(encode(*words))
        assert client.read_reply() == direct.read_reply(), (number, command)
        redis_server.call("DEL", *(redis_server.call("KEYS", "rg:*") or ["none"]))


def test_a_monitor_is_told_the_count_and_keeps_no_place(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings=rule_settings({"runs": {**RUNS, "monitors": "top grafana"}}))
    client, monitor, key = gate.connect(), gate.connect(), "concurrent:m"
    assert monitor.call("CLIENT", "SETNAME", "grafana") == "OK"
    assert [monitor.call("ZCARD", key) for _ in range(3)] == [0, 0, 0] and not reservations(redis_server, key)
    assert client.call("ZCARD", key) == 0 and client.call("ZCOUNT", key, "-inf", "+inf") == 0
    assert monitor.call("ZCARD", key) == 1 and reservations(redis_server, key) == 1


def test_who_is_gone_between_check_and_act_keeps_nobody_out(redis_server, gate):
    key, client = "concurrent:g", gate.connect()
    for number in range(70):  # until it is known that who acts asks on the same connection
        assert client.call("ZCARD", key) == 0
        if number >= 65:  # and that places must be kept for seconds
            redis_server.call("DEL", *redis_server.call("KEYS", "rg:*"))
        assert client.call("ZADD", key, 1, number) == 1 and client.call("ZREM", key, number) == 1
    for last in (("ZCARD", key), ("PING",)):
        with gate.connect() as other:
            assert other.call("ZCARD", key) == 0
            other.send(encode(*last))
        [name] = redis_server.call("KEYS", "rg:*")

        def ends_in_us():
            seconds, us = map(int, redis_server.call("TIME"))
            ends = redis_server.call("ZRANGE", name, 0, -1, "WITHSCORES")[1::2]
            return max([float(end) for end in ends], default=0) - seconds * 10**6 - us
        wait_until(lambda: ends_in_us() < 500_000, 2, "a place of one who is gone that ends soon")
        redis_server.call("DEL", name)


def test_a_pipeline_is_answered_in_order(gate):
    client = gate.connect()
    client.send(b"".join(encode(*command) for command in [
        ("ZREMRANGEBYSCORE", "concurrent:p", 0, 1), ("ZCARD", "concurrent:p"), ("ZADD", "concurrent:p", 9, "m"),
        ("EXPIRE", "concurrent:p", 60), ("PING",), ("ZCARD", "concurrent:p"), ("INCR", "rl:p"), ("GET", "rl:p")] * 20))
    for number in range(20):
        head = [client.read_value() for _ in range(8)]
        assert head[0] == 0 and head[3:5] == [1, "PONG"] and head[6:] == [number + 1, str(number + 1).encode()], number
        assert head[2] == (number == 0)


def test_scripts_that_the_backend_forgot_are_sent_again_in_order(redis_server, gate):
    client = gate.connect()
    assert client.call("ZCARD", "concurrent:s") == 0 and client.call("ZADD", "concurrent:s", 1, "a") == 1
    redis_server.call("SCRIPT", "FLUSH")
    client.send(encode("ZCARD", "concurrent:s") + encode("ECHO", "1") + encode("ZADD", "concurrent:s", 1, "b") +
                encode("ECHO", "2"))
    assert [client.read_value() for _ in range(4)] == [1, b"1", 1, b"2"]


def test_more_members_than_a_script_takes_are_refused(redis_server, gate):
    client = gate.connect()
    many = [word for i in range(1001) for word in (i, f"m{i}")]
    assert str(client.call("ZADD", "concurrent:many", *many)).startswith("RGLIMIT")
    assert client.call("ZADD", "concurrent:many", *many[:2000]) == 1000
    assert client.call("ZADD", "other", *many) == 1001


@pytest.mark.parametrize("key,member", [("concurrent:big", b"x" * 100000), ("concurrent:" + "k" * 100000, b"x")],
                         ids=["member", "key"])
def test_a_large_command_is_held_until_it_is_whole(start_respgate, redis_server, key, member):
    gate = start_respgate(redis_server, settings={**rule_settings(RULES), "listen.stream_threshold": "16KiB"})
    client = gate.connect()
    assert client.call("ZCARD", key) == 0 and reservations(redis_server, key) == 1
    whole = encode("ZADD", key, 1, member)
    client.send(whole[:50000])
    client.send(whole[50000:])
    assert client.read_value() == 1 and not reservations(redis_server, key)


def test_who_is_killed_leaves_no_place_taken(redis_server, gate):
    for _ in range(20):
        with gate.connect() as client:
            client.call("ZCARD", "concurrent:k")
    client = gate.connect()
    wait_until(lambda: client.call("ZCARD", "concurrent:k") < 5, 10, "a place for somebody who lives")
    assert redis_server.call("ZCARD", "concurrent:k") == 0


# ---- what is learnt ----

def take_turns(askers, actor, key, turns):
    """One asks, another acts, as pools and split clients do; what the checks were told, while one place is taken."""
    told = []
    for number in range(turns):
        told.append(askers[number % len(askers)].call("ZCARD", key))
        assert actor.call("ZADD", key, 1, "m") == 1 and actor.call("ZREM", key, "m") == 1
    return told


@pytest.mark.threads
def test_workers_learn_together(start_respgate, redis_server):
    """On the worker that has no actor no check is ever acted on: that is no reason to let nobody in."""
    gate = start_respgate(redis_server, settings={**rule_settings({"runs": {**RUNS, "max": "2"}}), "listen.workers": "2"})
    askers, actor = [gate.connect() for _ in range(16)], gate.connect()
    redis_server.call("ZADD", "concurrent:w", 1, "stays")
    assert set(take_turns(askers, actor, "concurrent:w", 640)) == {1}
    said = actor.call("RESPGATE", "OBSERVE").decode()
    assert "640 checks, 640 acts" in said and "stop at" not in said and "without any check" not in said


@pytest.mark.threads
def test_what_was_learnt_outlives_a_reload(start_respgate, redis_server, tmp_path):
    path, key = tmp_path / "gate.ini", "concurrent:l"
    path.write_text("[limit runs]\n" + "".join(f"{name} = {value}\n" for name, value in RUNS.items()))
    gate = start_respgate(redis_server, env={"RESPGATE_CONFIG": str(path)})
    client = gate.connect()

    def held_for():
        """What OBSERVE says of it: seconds, since checks lost their place."""
        return re.search(r"a place is held for (\d+) ms", client.call("RESPGATE", "OBSERVE").decode())[1]
    for number in range(30):
        assert client.call("ZCARD", key) == 0
        if number >= 25:
            redis_server.call("DEL", *redis_server.call("KEYS", "rg:*"))
        assert client.call("ZADD", key, 1, "m") == 1 and client.call("ZREM", key, "m") == 1
    assert held_for() == "5000"
    path.write_text(path.read_text() + "[limit hits]\nkind = incr\nmatch = key:a*\nttl = 60s\n")
    gate.signal(signal.SIGHUP)
    gate.wait_for_log("configuration reloaded")
    wait_until(lambda: "hits: kind incr" in client.call("RESPGATE", "OBSERVE").decode(), 5, "the new rule")
    assert held_for() == "5000"


# ---- counters ----

def test_counters_end_whoever_crashes(redis_server, gate):
    client = gate.connect()
    redis_server.call("SET", "rl:old", 7)  # as a crash left it
    for command, value in [(("INCR", "rl:new"), 1), (("INCR", "rl:old"), 8), (("INCRBY", "rl:by", 5), 5),
                           (("DECR", "rl:down"), -1), (("INCRBYFLOAT", "rl:f", "1.5"), b"1.5")]:
        assert client.call(*command) == value
        assert 0 < redis_server.call("PTTL", command[1]) <= 60000, command
    assert client.call("EXPIRE", "rl:new", 1000) == 1 and client.call("INCR", "rl:new") == 2
    assert redis_server.call("TTL", "rl:new") > 900


@pytest.mark.threads
def test_clients_that_die_before_they_expire_leave_nothing_immortal(redis_server, gate):
    for number in range(200):
        with gate.connect() as client:
            assert client.call("INCR", f"rl:{number}") == 1
    assert [number for number in range(200) if redis_server.call("PTTL", f"rl:{number}") < 0] == []


def test_a_cap_is_told_as_one_more(start_respgate, redis_server):
    client = start_respgate(redis_server, settings=rule_settings({"hits": {**HITS, "max": "2"}})).connect()
    assert [client.call("INCR", "rl:c") for _ in range(5)] == [1, 2, 3, 3, 3]
    assert redis_server.call("GET", "rl:c") == b"2"


def test_a_counter_that_is_checked_first(gate):
    clients = [gate.connect() for _ in range(8)]
    told = [client.call("GET", "otp:u") for client in clients]
    assert [told[0], *map(int, told[1:3])] == [None, 1, 2] and all(int(count) >= 3 for count in told[3:])
    assert [client.call("INCR", "otp:u") for client in clients[:3]] == [1, 2, 3]


# ---- transactions ----

def exec_of(client, *commands):
    """MULTI ... EXEC in one piece: EXEC's reply."""
    client.send(b"".join(encode(*command) for command in [("MULTI",), *commands, ("EXEC",)]))
    return [client.read_value() for _ in range(len(commands) + 2)][-1]


@pytest.mark.parametrize("whole", [True, False], ids=["in one piece", "piece by piece"])
def test_a_transaction_is_repaired(redis_server, gate, whole):
    client, commands = gate.connect(), [("INCR", "rl:t"), ("ZCARD", "concurrent:t"), ("ZADD", "concurrent:t", 1, "m"),
                                        ("SET", "x", 1)]
    if whole:
        answer = exec_of(client, *commands)
    else:
        assert client.call("MULTI") == "OK" and {client.call(*command) for command in commands} == {"QUEUED"}
        answer = client.call("EXEC")
    assert answer == [1, 0, 1, "OK"] and redis_server.call("PTTL", "rl:t") > 0
    assert not reservations(redis_server, "concurrent:t")


def test_one_that_is_refused_within_fails_the_transaction(redis_server, gate):
    client = gate.connect()
    assert client.call("MULTI") == "OK"
    assert str(client.call("ZADD", "concurrent:t", *[word for i in range(1001) for word in (i, i)])).startswith("RGLIMIT")
    assert client.call("SET", "x", 1) == "QUEUED"
    assert str(client.call("EXEC")).startswith("EXECABORT") and redis_server.call("EXISTS", "x") == 0


def test_who_watches_neither_reserves_nor_overtakes(redis_server, gate):
    """The client that does it right, on the last place: another's reservation fails its EXEC as another's act does."""
    careful, racy, key = gate.connect(), gate.connect(), "concurrent:w"
    redis_server.call("ZADD", key, *[word for i in range(4) for word in (i, i)])
    assert careful.call("WATCH", key, "other") == "OK" and careful.call("ZCARD", key) == 4
    assert not reservations(redis_server, key)
    assert racy.call("ZCARD", key) == 4 and reservations(redis_server, key) == 1
    assert exec_of(careful, ("ZADD", key, 9, "late")) is None
    assert racy.call("ZADD", key, 5, "mine") == 1 and redis_server.call("ZCARD", key) == 5
    redis_server.call("ZREM", key, "mine")
    assert careful.call("WATCH", key) == "OK" and careful.call("ZCARD", key) == 4
    assert exec_of(careful, ("ZADD", key, 9, "now")) == [1]
    assert careful.call("ZREM", key, "now") == 1 and careful.call("ZCARD", key) == 4
    assert reservations(redis_server, key) == 1


# ---- without a backend ----

DOWN = {"fallback.queue_timeout": "200ms", "health.start_grace": "200ms"}


@pytest.mark.parametrize("when", ["wait", "none"])
@pytest.mark.parametrize("policy,answers", [("deny", [5, 0, 3]), ("allow", [0, 1, 1])])
def test_without_a_backend_every_reply_has_its_type(start_respgate, policy, answers, when):
    rules = {"runs": RUNS, "hits": {**HITS, "max": "2"}}
    gate = start_respgate("redis://127.0.0.1:1", settings={
        **rule_settings(rules, on_backend_down=policy), **DOWN, "fallback.when_all_down": when})
    gate.wait_for_log("backend down")
    client = gate.connect()
    for command, answer in zip([("ZCARD", "concurrent:d"), ("ZADD", "concurrent:d", 1, "m"), ("INCR", "rl:d")], answers):
        assert client.call(*command) == answer, command
    assert isinstance(client.call("ZCARD", "elsewhere"), ErrorReply)
    gate.wait_for_log("repair answers without a backend")


def test_a_check_that_is_lost_lets_nobody_in(start_respgate, redis_server):
    settings = {**rule_settings({"runs": RUNS}), **DOWN, "backend.default.command_timeout": "300ms"}
    gate = start_respgate(redis_server, settings=settings)
    client, slots = gate.connect(), Slots(pool_of(gate.port, 4), 5)
    assert client.call("ZCARD", "concurrent:l") == 0
    redis_server.pause()
    assert client.call("ZCARD", "concurrent:l") == 5
    assert slots.acquire() is None
    redis_server.resume()
    wait_until(lambda: client.call("ZCARD", "concurrent:l") < 5, 10, "the backend to decide again")


def test_an_act_that_the_backend_runs_late_is_recorded(start_respgate, redis_server):
    """Who acts goes on whatever it is told, so nobody may find its place free."""
    gate = start_respgate(redis_server, settings={**rule_settings({"runs": RUNS, "hits": HITS}), **P500})
    client, counter = gate.connect(), gate.connect()
    assert client.call("ZCARD", "concurrent:l") == 0 and counter.call("INCR", "rl:l") == 1
    redis_server.pause()
    client.send(encode("ZADD", "concurrent:l", 1, "m"))
    counter.send(encode("INCR", "rl:l"))
    gate.wait_for_log("backend down")
    redis_server.resume()
    wait_until(lambda: redis_server.call("ZCARD", "concurrent:l") == 1, 5, "the member to be there")
    wait_until(lambda: redis_server.call("GET", "rl:l") == b"2", 5, "the count to be there")


# ---- words ----

@pytest.mark.threads
def test_observing_changes_nothing_and_says_what_goes_wrong(start_respgate, redis_server):
    rules = {name: {**rule, "mode": "observe"} for name, rule in RULES.items()}
    gate = start_respgate(redis_server, settings=rule_settings(rules))
    assert together(pool_of(gate.port, 16), 16, 5) == 16
    client = gate.connect()
    assert client.call("INCR", "rl:forever") == 1 and redis_server.call("PTTL", "rl:forever") == -1
    assert not redis_server.call("KEYS", "rg:*")

    def told():
        return client.call("RESPGATE", "OBSERVE").decode()
    wait_until(lambda: "1 of 1 new counters had no expiry" in told(), 10, told)
    assert "runs: kind zset, key:concurrent:*, observed only, 16 checks, 16 acts" in told()
    races = re.search(r"the race happens: (\d+) acts", told())
    assert races and int(races[1]) == 15


def test_what_would_become_of_a_command_is_explained(redis_server, gate):
    client = gate.connect()

    def explain(*command):
        return client.call("RESPGATE", "EXPLAIN", *command).decode()
    said = explain("ZCARD", "concurrent:e")
    assert "rule:runs, key:concurrent:*, max 5, enforced\r\n" in said and "script:repair_check" in said
    assert "sent:EVALSHA" in said and "concurrent:e rg:{" in said
    assert "script:repair_act" in explain("ZADD", "concurrent:e", 1, "m")
    assert "rule:none" in explain("ZADD", "elsewhere", 1, "m") and "shared backend connection" in explain("GET", "k")
    assert "script:lim_gcra" in explain("LIM.GCRA", "k", 5, 5, 1000) and "mistake" in explain("LIM.GCRA", "k")
    assert "not at all: answered here" in explain("RESPGATE", "STATUS") and "of its own" in explain("BLPOP", "a", 0)
    assert redis_server.call("KEYS", "*") == [] and "EXPLAIN" in client.call("RESPGATE", "HELP").decode()
