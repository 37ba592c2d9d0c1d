"""Limiter commands within what a session may be: transactions, subscriptions, silence, users with fewer rights, dbs."""

import pytest

from backend_view import MARK, play, read_until_mark
from harness import ErrorReply, encode
from limits import LIMIT_OF_FIVE, RULES, rule_settings, script_calls, take, timeless

TRY = ("LIM.TRY", "win", "u")
BLOCK = [("CL.THROTTLE", "t", 4, 1, 60), ("LIM.GCRA", "g", 5, 5, 60000), ("LIM.WINDOW", "w", 5, 3600000), TRY,
         ("SEM.ACQUIRE", "s", 1, 30000, "t"), ("SEM.ACQUIRE", "s", 1, 30000, "u", "WAIT", 60000), ("SEM.COUNT", "s"),
         ("SEM.RELEASE", "s", "t"), ("INCREX", "n", "UBOUND", 5), ("GET", "n"), ("LIM.RESET", "w")]
ANSWERS = [[0, 5, 4, -1, 60], [1, 5, 4, -1, 0, 0, 1, 0], [1, 5, 4, -1, 0, 0, 1, 0], [1, 5, 4, -1, 0, 0, 1, 0],
           [1, 1, 1, 0, 0, -1, 0, -1, -1, 0], [0, 1, 1, 0, 0, -1, 0, 0, -1, 1], [1, 0, 0], 1, [1, 1], b"1", 1]
GOOD_AND_BAD = ("MULTI",), ("INCR", "n"), ("SEM.ACQUIRE", "s", 0, 1, "t"), ("INCR", "n"), ("EXEC",), ("GET", "n")
ABORTED = "EXECABORT Transaction discarded because of previous errors."


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with rules."""
    return start_respgate(redis_server, settings=rule_settings())


def replies(connection, commands, together):
    """Each reply, the commands sent in one write or one by one."""
    if not together:
        return [connection.call(*command) for command in commands]
    connection.send(b"".join(encode(*command) for command in commands))
    return [connection.read_value() for _ in commands]


@pytest.mark.threads
@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("watch", [False, True], ids=["", "watching"])
@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
def test_in_a_transaction(redis_server, gate, together, watch, resp):
    client = gate.connect()
    client.call("HELLO", resp)
    commands = [("MULTI",), *BLOCK, ("EXEC",)]
    for _ in range(2):
        redis_server.call("SCRIPT", "FLUSH")
        redis_server.call("FLUSHALL")
        if watch:
            assert client.call("WATCH", "k") == "OK"
        *queued, executed = replies(client, commands, together)
        assert queued == ["OK"] + ["QUEUED"] * len(BLOCK)
        assert timeless(executed) == ANSWERS
    assert client.call("SEM.COUNT", "s") == [0, 0, 0]


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
def test_in_a_tunnel(redis_server, gate, together, resp):
    """CLIENT REPLY queued in a transaction makes replies unreadable from outside, but not requests."""
    client = gate.connect()
    client.call("HELLO", resp)
    assert [client.call(*each) for each in (("MULTI",), ("CLIENT", "REPLY", "ON"), ("EXEC",))] == ["OK", "QUEUED", ["OK"]]
    redis_server.call("SCRIPT", "FLUSH")
    assert timeless(replies(client, BLOCK, together)) == ANSWERS
    *queued, executed = replies(client, [("MULTI",), *BLOCK[-3:], ("EXEC",)], together)
    assert queued == ["OK"] + ["QUEUED"] * 3 and executed == [[2, 1], b"2", 0]
    assert isinstance(client.call("LIM.TRY", "none", "u"), ErrorReply) and client.call("GET", "n") == b"2"


@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
@pytest.mark.parametrize("bad", [("SEM.ACQUIRE", "s", 0, 1, "t"), ("LIM.TRY", "none", "u"), ("CL.THROTTLE", "k")])
def test_a_mistake_in_a_transaction_makes_it_fail(gate, bad, together):
    client = gate.connect()
    answers = replies(client, [("MULTI",), ("INCR", "n"), bad, ("INCR", "n"), ("EXEC",), ("GET", "n")], together)
    assert answers[:2] + answers[3:4] == ["OK", "QUEUED", "QUEUED"] and isinstance(answers[2], ErrorReply)
    assert answers[4:] == [ABORTED, None]
    assert replies(client, [("MULTI",), ("INCR", "n"), ("EXEC",)], together) == ["OK", "QUEUED", [1]]


def test_a_transaction_that_is_discarded_and_one_that_is_overtaken(redis_server, gate):
    client = gate.connect()
    for last, answer in (("DISCARD", "OK"), ("EXEC", None)):
        assert client.call("WATCH", "n") == "OK"
        assert [client.call("MULTI"), client.call(*TRY)] == ["OK", "QUEUED"]
        redis_server.call("SET", "n", last)
        assert client.call(last) == answer
    assert client.call(*TRY)[2] == 4


def test_integers_beyond_a_double_in_a_transaction(redis_server, gate):
    redis_server.call("SET", "n", 2**63 - 2)
    client = gate.connect()
    assert replies(client, [("MULTI",), ("INCREX", "n"), ("EXEC",)], True)[2] == [[b"9223372036854775807", 1]], \
        "the reply of EXEC is passed as it is, and a script has no other way to say such a number"


def test_a_subscribed_resp2_client_is_refused_as_by_redis(redis_server, gate):
    client = gate.connect()
    assert client.call("SUBSCRIBE", "c") == [b"subscribe", b"c", 1]
    for command in (TRY, ("SEM.ACQUIRE", "s", 1, 30000, "t", "WAIT", 60000), *LIMIT_OF_FIVE):
        answer = client.call(*command)
        assert isinstance(answer, ErrorReply) and f"Can't execute '{command[0].lower()}'" in answer
    assert script_calls(redis_server) == 0
    assert client.call("UNSUBSCRIBE", "c") == [b"unsubscribe", b"c", 0] and client.call(*TRY)[2] == 4


def test_a_subscribed_resp3_client_goes_on(redis_server, gate):
    client = gate.connect()
    client.call("HELLO", 3)
    assert client.call("SUBSCRIBE", "c") == [b"subscribe", b"c", 1]
    assert client.call(*TRY)[2] == 4
    assert redis_server.call("PUBLISH", "c", "m") == 1
    assert client.read_value() == [b"message", b"c", b"m"] and client.call(*TRY)[2] == 3
    assert client.call("SEM.ACQUIRE", "s", 1, 30000, "t", "WAIT", 60000)[0] == 1


@pytest.mark.parametrize("command", [TRY, ("SEM.ACQUIRE", "s", 1, 30000, "t", "WAIT", 60000), ("INCREX", "n"),
                                     ("SEM.ACQUIRE", "s", 0, 1, "t")])
def test_client_reply(gate, command):
    client = gate.connect()
    silent = play(client, ("CLIENT", "REPLY", "SKIP"), command, ("ECHO", "a"), ("CLIENT", "REPLY", "OFF"), command, command,
                  ("CLIENT", "REPLY", "ON"))
    assert silent == b"$1\r\na\r\n+OK\r\n"
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode(*command) + encode("PING", MARK))
    assert read_until_mark(client) == b""


# ---- users ----

USERS = ["all on >pw ~* &* +@all", "limited on >pw ~rl:* ~rg:* +@all -eval -evalsha", "noeval on >pw ~* +@all -eval",
         "nocompanion on >pw ~rl:* +@all", "default on nopass ~* &* +@all"]


@pytest.fixture
def guarded(start_redis, start_respgate):
    """respgate whose clients log in to the backend, and that backend."""
    server = start_redis(config={"user": USERS})
    gate = start_respgate(server, settings={**rule_settings(), "listen.auth": "backend"})

    def login(user):
        client = gate.connect()
        assert client.call("AUTH", user, "pw") == "OK"
        return client
    return server, login


def test_users_with_the_right_to_run_scripts(guarded):
    _, login = guarded
    client = login("all")
    assert take(client, "win")[2] == 4 and take(client, "jobs")[:2] == [1, 1]


def test_users_without_it_are_told_so(guarded):
    server, login = guarded
    for _ in range(2):
        client = login("limited")
        assert take(client, "win").startswith("NOPERM ")
        assert client.call("SEM.ACQUIRE", "rl:s", 1, 30000, "t", "WAIT", 60000).startswith("NOPERM ")
    assert take(login("all"), "win")[2] == 4, "a text that was refused counts as loaded, and is healed"
    assert server.call("EXISTS", "rl:win:u") == 1
    client = login("noeval")
    assert take(client, "win")[2] == 3, "the script is loaded, and EVALSHA may be used"


def test_users_see_which_key_they_may_not_touch(guarded):
    _, login = guarded
    client = login("nocompanion")
    assert take(client, "win")[2] == 4
    assert take(client, "jobs").startswith("NOPERM ")
    assert client.call("LIM.WINDOW", "other", 5, 1000).startswith("NOPERM ")


def test_a_denial_that_is_kept_is_not_for_users_who_may_not_ask(start_redis, start_respgate):
    server = start_redis(config={"user": USERS})
    settings = rule_settings({"win": RULES["win"]}, deny_cache="yes")
    gate = start_respgate(server, settings={**settings, "listen.auth": "backend"})
    one, other = gate.connect(), gate.connect()
    assert one.call("AUTH", "all", "pw") == other.call("AUTH", "limited", "pw") == "OK"
    assert take(one, "win", "COST", 5)[0] == 1
    calls = [take(one, "win")[0] for _ in range(3)]
    assert calls == [0, 0, 0] and script_calls(server) == 2
    assert take(other, "win").startswith("NOPERM ")


def test_who_has_not_logged_in_gets_nothing(start_redis, start_respgate):
    server = start_redis(config={"requirepass": "pw"})
    gate = start_respgate(server, settings={**rule_settings(), "listen.auth": "backend"})
    client = gate.connect()
    assert take(client, "win").startswith("NOAUTH ") and take(client, "jobs", "WAIT", 1000).startswith("NOAUTH ")
    assert client.call("AUTH", "pw") == "OK" and take(client, "win")[2] == 4
