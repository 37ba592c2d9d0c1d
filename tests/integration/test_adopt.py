"""Clients' own limiter scripts that a rule takes for limiter commands: decided by respgate's, answered in the script's
own words, wherever and however they are called."""

import configparser
import hashlib
import sys

import pytest
import redis

from harness import ROOT, encode, run_respgate
from incident_app import Crowd
from limits import rule_settings
from wire import ErrorReply

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, close_after, reply  # noqa: E402 pylint: disable=wrong-import-position

# As applications have them: the repaired slots of the incident, a token bucket of a clock that is the client's, a
# counter that tells how many there were, and what gives a slot back.
SLOTS = """redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[4])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1"""
BUCKET = """local tokens = tonumber(redis.call('HGET', KEYS[1], 't') or ARGV[1])
if tokens < 1 then return {0, 0} end
redis.call('HSET', KEYS[1], 't', tokens - 1)
return {1, tokens - 1}"""
HITS = """local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if n > tonumber(ARGV[1]) then return -1 end
return n"""
FREE = "return redis.call('ZREM', KEYS[1], ARGV[1])"
LOCK = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])"


def sha(text):
    return hashlib.sha1(text.encode()).hexdigest()


def rule(text, means, returns="1 | 0", match="*", **more):
    return {"kind": "script", "match": f"key:{match}", "adopt": f"{sha(text)} {means}", "returns": returns, **more}


RULES = {"slots": rule(SLOTS, "SEM.ACQUIRE KEYS[1] ARGV[3] ARGV[5]*1000 ARGV[1]", match="slots:*"),
         "free": rule(FREE, "SEM.RELEASE KEYS[1] ARGV[1]", "value", match="slots:*"),
         "bucket": rule(BUCKET, "LIM.GCRA KEYS[1] ARGV[1] ARGV[1] 3600000", "[1 remaining] | [0 0]"),
         "hits": rule(HITS, "LIM.WINDOW KEYS[1] ARGV[1] ARGV[2]", "used | -1"),
         "lock": rule(LOCK, "SEM.ACQUIRE KEYS[1] 1 ARGV[2] ARGV[1]", "OK | nil")}


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with a rule for each of them."""
    return start_respgate(redis_server, settings=rule_settings(RULES))


def slots(key, token, most=2, by="EVALSHA"):
    return (by, sha(SLOTS) if by == "EVALSHA" else SLOTS, 1, key, token, 1, most, 0, 60)


CALLS = [slots("slots:a", "x"), slots("slots:a", "y"), slots("slots:a", "z"), slots("slots:a", "x"),
         ("EVALSHA", sha(FREE), 1, "slots:a", "y"), ("EVALSHA", sha(FREE), 1, "slots:a", "y"),
         slots("slots:a", "z"), *[("EVALSHA", sha(BUCKET), 1, "b", 2)] * 3, *[("EVALSHA", sha(HITS), 1, "h", 2, 60000)] * 4,
         ("EVALSHA", sha(LOCK), 1, "l", "me", 60000), ("EVALSHA", sha(LOCK), 1, "l", "you", 60000)]


def raw(connection, resp, commands, whole=True):
    """The bytes of their replies."""
    connection.call("HELLO", resp)
    if whole:
        connection.send(b"".join(encode(*command) for command in commands))
        return [connection.read_reply() for _ in commands]
    replies = []
    for command in commands:
        connection.send(encode(*command))
        replies.append(connection.read_reply())
    return replies


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def told(request, redis_server):
    """The version, and what these scripts themselves say: nothing of the second one of a token, which they add again."""
    direct = redis_server.connect()
    direct.call("SELECT", 1)
    for text in (SLOTS, BUCKET, HITS, FREE, LOCK):
        assert direct.call("SCRIPT", "LOAD", text).decode() == sha(text)
    replies = raw(direct, request.param, [*CALLS[:3], *CALLS[4:]])
    direct.call("SCRIPT", "FLUSH")
    return request.param, [*replies[:3], b":1\r\n", *replies[3:]]


# ---- in the script's own words ----

@pytest.mark.parametrize("whole", [True, False], ids=["pipelined", "one by one"])
def test_each_call_is_answered_as_its_script_would(redis_server, gate, told, whole):
    resp, expected = told
    redis_server.call("FLUSHALL")
    assert raw(gate.connect(), resp, CALLS, whole) == expected
    redis_server.call("SCRIPT", "FLUSH")
    redis_server.call("FLUSHALL")
    assert raw(gate.connect(), resp, CALLS, whole) == expected
    assert redis_server.call("SCRIPT", "EXISTS", sha(SLOTS)) == [0]
    redis_server.call("FLUSHALL")
    as_text = [("EVAL", {sha(text): text for text in (SLOTS, BUCKET, HITS, FREE, LOCK)}[call[1]], *call[2:])
               for call in CALLS]
    assert raw(gate.connect(), resp, as_text, whole) == expected


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "one by one"])
def test_in_a_transaction(redis_server, gate, told, whole):
    """There the backend makes the reply: the same bytes."""
    resp, expected = told
    redis_server.call("FLUSHALL")
    replies = raw(gate.connect(), resp, [("MULTI",), *CALLS, ("EXEC",)], whole)
    assert replies[1:-1] == [b"+QUEUED\r\n"] * len(CALLS)
    assert replies[-1] == b"*%d\r\n" % len(CALLS) + b"".join(expected)


def test_in_a_tunnel(redis_server, gate, told):
    _, expected = told
    redis_server.call("FLUSHALL")
    client = gate.connect()
    replies = raw(client, 3, [("MULTI",), ("SUBSCRIBE", "c"), ("EXEC",), ("PING",), *CALLS])
    while b"PONG" not in replies.pop(0):
        pass
    while len(replies) < len(CALLS):
        replies.append(client.read_reply())
    assert [item.replace(b"_", b"$-1") for item in replies] == [item.replace(b"_", b"$-1") for item in expected]


FIGURES = {"LIM.GCRA KEYS[1] 5 5 60000": ["limit", "remaining", "used", "retry_ms", "retry_s", "reset_ms", "reset_s"],
           "LIM.SLIDE KEYS[1] 1 60000": ["limit", "remaining", "used"],
           "SEM.ACQUIRE KEYS[1] 1 60000 ARGV[1] SLOTS": ["limit", "remaining", "used", "slot", "lease_ms"],
           "CL.THROTTLE KEYS[1] 0 1 60": ["limit", "remaining", "used", "retry_s", "reset_s"],
           "SEM.CHECK KEYS[1] ARGV[1]": ["value"], "LIM.RESET KEYS[1]": ["value"]}


@pytest.mark.parametrize("means", FIGURES)
@pytest.mark.parametrize("resp", [2, 3])
def test_every_figure_is_the_same_wherever_it_is_made(start_respgate, redis_server, means, resp):
    """Here from the command's reply, on the backend in a transaction. Times may pass between the two."""
    returns = f"[{' '.join(FIGURES[means])} nil OK 7 -9] | [{' '.join(FIGURES[means])} nil -1]"
    gate = start_respgate(redis_server, settings=rule_settings({"all": rule("return 1", means, returns)}))
    client, found = gate.connect(), {}
    client.call("HELLO", resp)
    for where in ("here", "there"):
        redis_server.call("FLUSHALL")
        found[where] = []
        for token in "abcdefg":
            call = ("EVAL", "return 1", 1, "k", token)
            if where == "here":
                found[where].append(client.call(*call))
            else:
                client.send(encode("MULTI") + encode(*call) + encode("EXEC"))
                found[where].append([client.read_value() for _ in range(3)][2][0])
    coarse = [[[round(item / 5000) if isinstance(item, int) and item > 1000 else item for item in one] for one in found[where]]
              for where in found]
    assert coarse[0] == coarse[1] and len({len(one) for one in coarse[0]}) == (1 if "CHECK" in means or "RESET" in means else 2)


# ---- limits ----

class Locked:
    """A slot by the application's own script, as redis-py calls it."""

    def __init__(self, client, most):
        self.client, self.most = client, most
        self.take, self.free = client.register_script(SLOTS), client.register_script(FREE)

    def acquire(self, key, token):
        return self.take(keys=[key], args=[token, 1, self.most, 0, 60]) == 1

    def release(self, key, token):
        return self.free(keys=[key], args=[token])


def test_a_client_librarys_scripts_keep_their_limit(redis_server, gate):
    with redis.Redis(port=gate.port) as client:
        one = Locked(client, 2)
        assert [one.acquire("slots:p", token) for token in "abcab"] == [True, True, False, True, True]
        assert one.release("slots:p", "a") == 1 and one.acquire("slots:p", "c")
        assert redis_server.call("ZREM", "slots:p", "b") == 1 and one.acquire("slots:p", "d")
        with client.pipeline() as pipeline:
            one.take(keys=["slots:q"], args=["x", 1, 1, 0, 60], client=pipeline)
            one.take(keys=["slots:q"], args=["y", 1, 1, 0, 60], client=pipeline)
            assert pipeline.execute() == [1, 0]
    assert redis_server.call("SCRIPT", "EXISTS", sha(SLOTS)) == [0], "it was never asked for it"


@pytest.mark.threads
def test_a_crowd_and_commands_share_a_limit(gate):
    """Threads with the script and threads with SEM.ACQUIRE: one key, one limit."""
    pool = redis.BlockingConnectionPool(max_connections=16, port=gate.port, timeout=30)
    client, crowd = redis.Redis(connection_pool=pool), Crowd()

    class Member:
        """A thread's way to a place."""

        def __init__(self, number):
            self.number, self.locked = number, Locked(client, 5)

        def acquire(self):
            token = f"t{self.number}"
            if self.number % 2:
                return token if self.locked.acquire("slots:c", token) else None
            return token if client.execute_command("SEM.ACQUIRE", "slots:c", 5, 60000, token)[0] else None

        def release(self, token):
            self.locked.release("slots:c", token)

    assert crowd.run([(Member(number), 40, 0.003) for number in range(16)]) == 5 and crowd.runs > 60


def test_the_rules_of_the_readme(start_respgate, redis_server):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rules = configparser.ConfigParser(comment_prefixes=";")
    rules.read_string(text[text.index("[limit slots-script]"):].partition("```")[0])
    client = start_respgate(redis_server, settings=rule_settings(
        {name.removeprefix("limit "): dict(rules[name]) for name in rules.sections()})).connect()
    free = ("EVALSHA", sha(FREE), 1, "slots:a", "x")
    assert [client.call(*slots("slots:a", token)) for token in "xyz"] == [1, 1, 0]
    assert [client.call(*free), client.call(*free), client.call(*slots("slots:a", "z"))] == [1, 0, 1]


# ---- what no rule has to do with ----

def test_other_keys_other_scripts_and_mistakes_go_as_they_are(redis_server, gate):
    client = gate.connect()
    assert str(client.call(*slots("other", "x"))).startswith("NOSCRIPT")
    assert client.call(*slots("other", "x", by="EVAL")) == 1 and redis_server.call("ZSCORE", "other", "x") == b"1"
    assert client.call("EVAL", "return 7", 1, "slots:a") == 7
    assert str(client.call("EVAL_RO", SLOTS, 1, "slots:a", "x", 1, 2, 0, 60)).startswith("ERR ")
    for command in (("EVAL", SLOTS), ("EVAL", SLOTS, "x", "slots:a"), ("EVAL", SLOTS, 9, "slots:a"), ("EVAL", SLOTS, -1)):
        replies = []
        for connection in (gate.connect(), redis_server.connect()):
            connection.send(encode(*command))
            replies.append(connection.read_reply())
        assert replies[0] == replies[1] and replies[0].startswith(b"-ERR "), command


def test_nothing_goes_otherwise_without_such_a_rule(start_respgate):
    with FakeRedis() as fake:
        fake.on("EVALSHA", reply(b":1\r\n"))
        fake.on("SCRIPT", reply(b"*1\r\n:0\r\n"))
        client = start_respgate(fake.url(), settings=rule_settings()).connect()
        assert client.call(*slots("slots:a", "x")) == 1 and client.call("SCRIPT", "EXISTS", sha(SLOTS)) == [0]
        assert fake.with_command("EVALSHA").commands[-2:] == [
            [str(word).encode() for word in slots("slots:a", "x")], [b"SCRIPT", b"EXISTS", sha(SLOTS).encode()]]


def test_scripts_of_rules_are_there(redis_server, gate):
    client, other = gate.connect(), sha("return 1")
    assert client.call("SCRIPT", "EXISTS", sha(SLOTS), other, sha(HITS).upper(), "x") == [1, 0, 1, 0]
    assert client.call("SCRIPT", "LOAD", "return 1").decode() == other and client.call("SCRIPT", "EXISTS", other) == [1]
    assert client.call("SCRIPT", "LOAD", SLOTS).decode() == sha(SLOTS)
    assert redis_server.call("SCRIPT", "EXISTS", sha(SLOTS)) == [1]
    client.send(encode("SCRIPT", "EXISTS", *[sha(SLOTS)] * 200) + encode("PING"))
    assert client.read_value() == [1] * 200 and client.read_value() == "PONG"
    assert str(client.call("SCRIPT", "EXISTS")).startswith("ERR wrong number")


def test_a_call_that_does_not_fit_is_an_error_and_changes_nothing(redis_server, gate):
    client = gate.connect()
    start = "ERR respgate: limit.slots does not fit this call of its script: "
    for words, what in [((), "it has no ARGV[3]"), (("x", 1, 2, 0), "it has no ARGV[5]"),
                        (("x", 1, 0, 0, 60), "max and lease must be positive"),
                        (("x", 1, 2, 0, "soon"), "a number that is to be multiplied is not an integer or out of range"),
                        (("x", 1, 2, 0, 2**62), "a number that is to be multiplied is not an integer or out of range"),
                        (("x", 1, "many", 0, 60), "value is not an integer or out of range")]:
        assert client.call("EVALSHA", sha(SLOTS), 1, "slots:a", *words) == ErrorReply(start + what)
    assert client.call("EVALSHA", sha(SLOTS), 0, "slots:a") == ErrorReply(start + "it has no KEYS[1]")
    client.send(encode("MULTI") + encode("EVALSHA", sha(SLOTS), 1, "slots:a") + encode("SET", "k", 1) + encode("EXEC"))
    assert [str(client.read_value())[:9] for _ in range(4)] == ["OK", "ERR respg", "QUEUED", "EXECABORT"]
    assert redis_server.call("KEYS", "*") == []


# ---- without a backend ----

DOWN = {"slots": (0, 1), "bucket": ([0, 0], [1, 1]), "hits": (-1, 1), "lock": (None, "OK")}


@pytest.mark.parametrize("when", ["wait", "none"])
@pytest.mark.parametrize("policy", ["deny", "allow"])
def test_without_a_backend_it_is_told_in_its_own_words(start_respgate, policy, when):
    gate = start_respgate("redis://127.0.0.1:1/0", settings={
        **rule_settings(RULES, on_backend_down=policy), "fallback.queue_timeout": "100ms", "fallback.when_all_down": when})
    client, calls = gate.connect(), {"slots": CALLS[0], "bucket": CALLS[7], "hits": CALLS[10], "lock": CALLS[14]}
    for name, call in calls.items():
        assert client.call(*call) == DOWN[name][policy == "allow"], name
    assert str(client.call(*CALLS[4])).startswith("RGUNAVAIL")
    assert "on_backend_down=" + policy in gate.wait_for_log("limiter answers without a backend")


@pytest.mark.parametrize("policy, lost, late", [("deny", b":0\r\n", b":0\r\n"), ("allow", b"-RGUNKNOWN", b":1\r\n")])
def test_what_is_lost_late_or_not_to_be_run(start_respgate, policy, lost, late):
    with FakeRedis() as fake:
        gate = start_respgate(fake.url(), settings=rule_settings(RULES, on_backend_down=policy))
        for answer, told in [(close_after(), lost), (reply(b"-RGUNAVAIL the limiter call came after\r\n"), late),
                             (reply(b"-OOM command not allowed\r\n"), late), (reply(b"-WRONGTYPE no\r\n"), b"-WRONGTYPE no"),
                             (reply(b":5\r\n"), b"-RGUNKNOWN")]:
            fake.on("EVAL", answer)
            fake.on("EVALSHA", answer)
            client = gate.connect()
            client.send(encode(*CALLS[0]))
            assert client.read_reply().startswith(told), answer


# ---- said to people ----

def test_what_becomes_of_a_call_is_explained(gate):
    client = gate.connect()
    lines = client.call("RESPGATE", "EXPLAIN", *slots("slots:a", "x")).decode().splitlines()
    assert lines[1] == f"rule:slots, key:slots:*, {RULES['slots']['adopt']}"
    assert "SEM.ACQUIRE is sent in its place" in lines[2] and lines[3] == "script:sem_acquire"
    assert lines[4].endswith("slots:a 9007199254740991 2 60000000 x 1 plain")
    assert "it has no ARGV[3]" in client.call("RESPGATE", "EXPLAIN", "EVALSHA", sha(SLOTS), 1, "slots:a").decode()
    assert "rule:none" in client.call("RESPGATE", "EXPLAIN", *slots("other", "x")).decode()


@pytest.mark.parametrize("changed, told", [
    ({"adopt": "abc SEM.ACQUIRE KEYS[1] 5 60000 ARGV[1]"}, "adopt: does not begin with a script's SHA1"),
    ({"adopt": "SEM.ACQUIRE KEYS[1] 5"}, "adopt: does not begin with a script's SHA1"),
    ({"adopt": sha(SLOTS) + " GET KEYS[1]"}, 'adopt: "GET" is none of SEM.ACQUIRE, RENEW'),
    ({"adopt": sha(SLOTS)}, 'adopt: "" is none of SEM.ACQUIRE'),
    ({"adopt": sha(SLOTS) + " SEM.ACQUIRE ARGV[1] 5 60000 x"}, "what follows the command is its key"),
    ({"adopt": sha(SLOTS) + " SEM.ACQUIRE KEYS[0] 5 60000 x"}, 'adopt: "KEYS[0]" is none of KEYS[n]'),
    ({"adopt": sha(SLOTS) + " SEM.ACQUIRE KEYS[1] ARGV[2]/5 60000 x"}, 'adopt: "ARGV[2]/5" is none of KEYS[n]'),
    ({"adopt": sha(SLOTS) + " SEM.ACQUIRE KEYS[1] 0 60000 ARGV[1]"}, "SEM.ACQUIRE: max and lease must be positive"),
    ({"adopt": sha(SLOTS) + " SEM.ACQUIRE KEYS[1] 5"}, "SEM.ACQUIRE: wrong number of arguments"),
    ({"adopt": sha(SLOTS) + " SEM.ACQUIRE KEYS[1] 5 60000 ARGV[1] WAIT 9"}, "neither WAIT nor FIFO is allowed"),
    ({"returns": "1 0"}, "returns: is not ALLOWED | DENIED"), ({"returns": "[1 | 0"}, "returns: is not ALLOWED | DENIED"),
    ({"returns": "1 | 0 | 2"}, "returns: has more than one |"),
    ({"returns": "yes | 0"}, 'returns: "yes" is not allowed here; allowed are an integer, nil, OK, limit, remaining'),
    ({"returns": "reset_ms | 0"}, 'returns: "reset_ms" is not allowed here'),
    ({"match": ""}, "match: is needed by kind script"), ({"adopt": ""}, "adopt: is needed by kind script"),
    ({"max": "5"}, "max: is for the other kinds"), ({"on_backend_down": "local"}, "allowed are deny and allow")])
def test_a_rule_that_cannot_be_is_named_at_start(changed, told):
    settings = rule_settings({"slots": {**RULES["slots"], **changed}})
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = run_respgate("run", *words, env={"RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0"})
    assert done.returncode and "limit.slots." in done.stderr and told in done.stderr, done.stderr


@pytest.mark.parametrize("other, told", [
    (RULES["slots"], "adopt: is limit.slots's already, with the same keys"),
    ({"kind": "zset", "match": "key:slots:*", "mode": "enforce", "max": "5"}, "is limit.slots's already"),
    ({"kind": "semaphore", "max": "5", "lease": "60s", "adopt": "x"}, "adopt: is for kind script")])
def test_two_rules_that_cannot_both_be(other, told):
    settings = rule_settings({"slots": RULES["slots"], "two": other})
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = run_respgate("run", *words, env={"RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0"})
    assert done.returncode and "limit.two." in done.stderr and told in done.stderr, done.stderr
