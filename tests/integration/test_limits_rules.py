"""LIM.TRY: rules by name from options, environment and file, what is refused, shadow mode, reloads under way."""

import signal
import sys

import pytest

from harness import ROOT, ErrorReply, encode
from limits import (ALREADY, CHARGED, COST, COUNTING, GRANTED, LIMITED, REASON, RULES, SEM_REASON, SHADOW, rule_env,
                    rule_settings, take, timeless)

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, hold, reply  # noqa: E402 pylint: disable=wrong-import-position

NOSCRIPT = b"-NOSCRIPT No matching script.\r\n"
LIMIT_REPLY = b"*8\r\n:1\r\n:5\r\n:4\r\n:-1\r\n:0\r\n:0\r\n:1\r\n:0\r\n"


@pytest.fixture
def client(start_respgate, redis_server):
    """A connection to a respgate with one rule of each kind."""
    return start_respgate(redis_server, settings=rule_settings()).connect()


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("name", COUNTING)
def test_a_rule_that_counts(redis_server, client, name, resp):
    client.call("HELLO", resp)
    assert timeless(take(client, name)) == [1, 5, 4, -1, 0, 0, 1, 0]
    assert take(client, name, "COST", 4)[2] == 0 and take(client, name)[REASON] == LIMITED
    assert take(client, name, "cost", 6)[REASON] == COST and take(client, name, "PEEK")[CHARGED] == 0
    assert take(client, name, subject="another")[2] == 4
    assert redis_server.call("EXISTS", f"rl:{name}:u") == 1
    assert client.call("LIM.RESET", f"rl:{name}:u") == 1 and take(client, name)[2] == 4


def test_a_rule_that_is_a_semaphore(client):
    assert take(client, "jobs")[:3] == [1, 1, 1] and take(client, "jobs")[ALREADY] == 1
    assert take(client, "jobs", "TOKEN", "other")[GRANTED] == 0
    assert client.call("SEM.RELEASE", "rl:jobs:u", "t") == 1
    assert take(client, "jobs", "TOKEN", "other", "SLOTS")[5] == 0


def test_what_lim_try_refuses(client):
    wrong = "ERR wrong number of arguments for 'lim.try' command"
    for command, text in [
            (("LIM.TRY",), wrong), (("LIM.TRY", "api"), wrong),
            (("LIM.TRY", "none", "u"), "ERR no limit rule is named 'none'"),
            (("LIM.TRY", "API", "u"), "ERR no limit rule is named 'API'"),
            (("LIM.TRY", b"a'\r\n", "u"), "ERR no limit rule is named 'a???'"),
            (("LIM.TRY", "api", "u", "TOKEN", "t"), "ERR limit rule 'api' counts calls and takes no TOKEN"),
            (("LIM.TRY", "jobs", "u"), "ERR limit rule 'jobs' is a semaphore: LIM.TRY name subject TOKEN token"),
            (("LIM.TRY", "jobs", "u", "SLOTS", "TOKEN", "t"),
             "ERR limit rule 'jobs' is a semaphore: LIM.TRY name subject TOKEN token"),
            (("LIM.TRY", "jobs", "u", "TOKEN", ""), "ERR a token must not be empty or begin with a NUL byte"),
            (("LIM.TRY", "api", "u", "COUNTDENIED"), "ERR syntax error"),
            (("LIM.TRY", "api", "u", *["COST"] * 40), "ERR limit rule 'api' takes fewer arguments")]:
        answer = client.call(*command)
        assert isinstance(answer, ErrorReply) and answer == text, command


@pytest.mark.parametrize("subject", [b"", b"\0\r\n {}", b"s" * 32768], ids=["empty", "binary", "32 KB"])
def test_any_subject_will_do(redis_server, client, subject):
    for name in RULES:
        assert take(client, name, subject=subject)[0] == 1
        assert redis_server.call("EXISTS", f"rl:{name}:".encode() + subject) == 1


def test_rules_from_the_environment_and_a_prefix(start_respgate, redis_server):
    rules = {"api": {**RULES["api"], "prefix": "p{x}-"}, "jobs": {**RULES["jobs"], "max": "2"}}
    client = start_respgate(redis_server, env=rule_env(rules)).connect()
    assert take(client, "api")[:3] == [1, 5, 4] and redis_server.call("EXISTS", "p{x}-u") == 1
    assert take(client, "jobs")[2] == 2


def test_shadow_denies_nothing(start_respgate, redis_server):
    client = start_respgate(redis_server, settings=rule_settings(shadow="yes")).connect()
    for name in COUNTING:
        assert take(client, name, "COST", 5)[REASON] == 0
        assert timeless(take(client, name)) == [1, 5, 0, -1, 0, 0, 0, SHADOW]
        assert take(client, name, "COST", 6)[::7] == [1, SHADOW]
    assert take(client, "jobs")[SEM_REASON] == 0
    for options in ((), ("FIFO",), ("WAIT", 60000), ("SLOTS",)):
        assert take(client, "jobs", "TOKEN", "other", *options)[::9] == [1, SHADOW]
    assert client.call("SEM.COUNT", "rl:jobs:u")[0] == 1


class Reload:
    """A file of rules that is read again on SIGHUP."""

    def __init__(self, directory):
        self.path = directory / "gate.ini"
        self.gate = None
        self.count = 0

    def write(self, rules):
        """These rules, from the next read on."""
        self.path.write_text("".join(f"[limit {name}]\n" + "".join(f"{key} = {value}\n" for key, value in rule.items())
                                     for name, rule in rules.items()))

    def read(self):
        """Have it read, and wait until it was."""
        before = self.gate.log().count("configuration reloaded")
        self.gate.signal(signal.SIGHUP)
        with self.gate.connect() as witness:
            self.gate.wait_ready(lambda: self.gate.log().count("configuration reloaded") > before)
            witness.call("RESPGATE", "STATUS")  # its worker has the new rules now


@pytest.fixture
def reload(start_respgate, tmp_path):
    """Factory: reload(backend, rules)."""
    def start(backend, rules):
        made = Reload(tmp_path)
        made.write(rules)
        made.gate = start_respgate(backend, env={"RESPGATE_CONFIG": str(made.path)})
        return made
    return start


def test_a_reload_changes_and_removes_rules(redis_server, reload):
    setup = reload(redis_server, RULES)
    client = setup.gate.connect()
    assert take(client, "win", "COST", 5)[:2] == [1, 5]
    setup.write({"win": {"kind": "window", "rate": "6/1h"}})
    setup.read()
    assert take(client, "win")[:3] == [1, 6, 0]
    assert take(client, "api") == "ERR no limit rule is named 'api'"


@pytest.mark.parametrize("after,answer", [
    ({}, b"-ERR no limit rule is named 'win'\r\n"),
    ({"win": RULES["jobs"]}, b"-ERR limit rule 'win' is a semaphore: LIM.TRY name subject TOKEN token\r\n"),
    ({"win": {"kind": "gcra", "rate": "5/1h"}}, LIMIT_REPLY)], ids=["gone", "a semaphore", "another kind"])
def test_a_reload_while_a_call_is_sent_again(reload, after, answer):
    """NOSCRIPT comes when the rule is another one, or none: nothing ran, and what is sent is never half of each."""
    with FakeRedis() as fake:
        fake.on("EVAL", reply(LIMIT_REPLY))
        fake.on("EVALSHA", reply(LIMIT_REPLY))
        setup = reload(fake.url(), {"win": RULES["win"]})
        client = setup.gate.connect()
        assert take(client, "win")[2] == 4
        fake.once("EVALSHA", hold(NOSCRIPT))
        client.send(encode("LIM.TRY", "win", "u") + encode("PING"))
        fake.wait_held()
        setup.write(after)
        setup.read()
        fake.release()
        assert client.read_reply() == answer and client.read_value() == "PONG"
        lane = fake.with_command("EVALSHA")
        assert lane.names().count("EVAL") == (2 if answer == LIMIT_REPLY else 1)
