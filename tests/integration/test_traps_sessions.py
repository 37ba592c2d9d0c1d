"""Session state belongs to one client and to nobody else: database, RESP version, reply mode, name, tracking. It starts
fresh with each connection and RESET gives it back."""

import pytest

from backend_view import backend_clients, backend_ids, play, played, wait_blocked
from harness import ErrorReply, Push, encode, wait_until

INVALIDATE = b"__redis__:invalidate"


# ---- trap 8: RESP2 beside RESP3 ----

@pytest.mark.threads
def test_resp2_and_resp3_clients_on_the_same_keys_get_the_shapes_of_their_own_version(redis_server, respgate):
    two, three = respgate.connect(), respgate.connect()
    assert three.call("HELLO", 3)[b"proto"] == 3
    assert two.call("ZADD", "z", 1.5, "a", 2, "b") == 2 and three.call("HSET", "h", "f", "v") == 1
    shapes = [(("ZRANGE", "z", 0, -1, "WITHSCORES"), [b"a", b"1.5", b"b", b"2"], [[b"a", 1.5], [b"b", 2.0]]),
              (("HGETALL", "h"), [b"f", b"v"], {b"f": b"v"}), (("GET", "no"), None, None),
              (("ZSCORE", "z", "a"), b"1.5", 1.5), (("SISMEMBER", "s", "m"), 0, 0),
              (("EVAL", "redis.setresp(3); return {true, {double=1.5}}", 0), [1, b"1.5"], [True, 1.5])]
    for _ in range(20):
        for command, in_two, in_three in shapes:
            two.command(*command)
            three.command(*command)
            assert two.read_value() == in_two and three.read_value() == in_three
    for command, _, _ in shapes:
        with redis_server.connect() as direct:
            two.command(*command)
            direct.command(*command)
            assert two.read_reply() == direct.read_reply()
            direct.call("HELLO", 3)
            three.command(*command)
            direct.command(*command)
            assert three.read_reply() == direct.read_reply()


@pytest.mark.threads
def test_hello_in_the_middle_of_a_pipeline_changes_the_replies_behind_it_only(redis_server, respgate):
    client = respgate.connect()
    client.send(encode("HSET", "h", "f", "v") + encode("HGETALL", "h") + encode("HELLO", 3) + encode("HGETALL", "h")
                + encode("HELLO", 2) + encode("HGETALL", "h") + encode("GET", "no"))
    values = [client.read_value() for _ in range(6)]
    assert values[:2] == [1, [b"f", b"v"]] and values[2][b"proto"] == 3 and values[3] == {b"f": b"v"}
    assert values[4][values[4].index(b"proto") + 1] == 2 and values[5] == [b"f", b"v"]
    assert client.read_reply() == b"$-1\r\n"


def test_hello_has_the_fields_and_the_order_of_redis_but_an_id_of_its_own(redis_server, respgate):
    for version in ((), (2,), (3,)):
        with redis_server.connect() as direct, respgate.connect() as client:
            theirs, ours = direct.call("HELLO", *version), client.call("HELLO", *version)
            if isinstance(theirs, dict):
                theirs, ours = ([item for pair in reply.items() for item in pair] for reply in (theirs, ours))
            place = theirs.index(b"id") + 1
            assert ours[place] == client.call("CLIENT", "ID")
            theirs[place] = ours[place]
            assert ours == theirs


HELLO_ERRORS = [("HELLO", 4), ("HELLO", 1), ("HELLO", "x"), ("HELLO", 3, "AUTH"), ("HELLO", 3, "AUTH", "a"),
                ("HELLO", 2, "NOSUCH"), ("HELLO", 3, "SETNAME"), ("HELLO", 3, "SETNAME", "a b"),
                ("HELLO", 3, "AUTH", "nobody", "wrong"), ("HELLO", 3, "AUTH", "default", "any", "SETNAME", "ok")]


@pytest.mark.parametrize("command", HELLO_ERRORS, ids=[" ".join(map(str, command)) for command in HELLO_ERRORS])
def test_a_hello_that_fails_has_the_words_of_redis_and_changes_nothing(redis_server, respgate, command):
    with redis_server.connect() as direct, respgate.connect() as client:
        theirs, ours = direct.call(*command), client.call(*command)
        if isinstance(theirs, ErrorReply):
            assert ours == theirs
        else:
            assert ours.keys() == theirs.keys()
        assert client.call("CLIENT", "GETNAME") == direct.call("CLIENT", "GETNAME")
        direct.command("HGETALL", "none")
        client.command("HGETALL", "none")
        assert client.read_reply() == direct.read_reply()


# ---- trap 9: CLIENT REPLY ----

@pytest.mark.threads
def test_reply_off_10000_sets_and_reply_on_answer_once(redis_server, respgate):
    client, other = respgate.connect(), respgate.connect()
    client.send(encode("CLIENT", "REPLY", "OFF") + b"".join(encode("SET", f"k{n}", n) for n in range(10000))
                + encode("CLIENT", "REPLY", "ON") + encode("GET", "k9999"))
    assert other.call("PING") == "PONG"
    assert client.read_value() == "OK" and client.read_value() == b"9999"
    assert redis_server.call("DBSIZE") == 10000 and client.is_silent(0.05)


REPLY_SCRIPTS = {
    "SKIP": [("CLIENT", "REPLY", "SKIP"), ("SET", "k", 1), ("GET", "k")],
    "SKIP twice": [("CLIENT", "REPLY", "SKIP"), ("CLIENT", "REPLY", "SKIP"), ("SET", "k", 1), ("GET", "k")],
    "SKIP and a local command": [("CLIENT", "REPLY", "SKIP"), ("SELECT", 1), ("GET", "k")],
    "SKIP and an error": [("CLIENT", "REPLY", "SKIP"), ("NOSUCH",), ("GET", "k")],
    "SKIP and MULTI": [("CLIENT", "REPLY", "SKIP"), ("MULTI",), ("INCR", "k"), ("EXEC",)],
    "OFF and MULTI": [("CLIENT", "REPLY", "OFF"), ("MULTI",), ("INCR", "k"), ("EXEC",), ("CLIENT", "REPLY", "ON"),
                      ("GET", "k")],
    "OFF and blocking": [("CLIENT", "REPLY", "OFF"), ("RPUSH", "l", "a"), ("BLPOP", "l", 1), ("CLIENT", "REPLY", "ON"),
                         ("LLEN", "l")],
    "OFF and SKIP": [("CLIENT", "REPLY", "OFF"), ("CLIENT", "REPLY", "SKIP"), ("GET", "k"), ("GET", "k"),
                     ("CLIENT", "REPLY", "ON"), ("GET", "k")],
    "OFF and RESET": [("CLIENT", "REPLY", "OFF"), ("GET", "k"), ("RESET",), ("GET", "k")],
    "OFF and local commands": [("CLIENT", "REPLY", "OFF"), ("CLIENT", "SETNAME", "n"), ("SELECT", 1), ("HELLO", 2),
                               ("CLIENT", "REPLY", "ON"), ("CLIENT", "GETNAME")],
    "OFF and large": [("CLIENT", "REPLY", "OFF"), ("SET", "k", "v" * 200_000), ("GET", "k"), ("CLIENT", "REPLY", "ON"),
                      ("STRLEN", "k")],
    "SKIP and large": [("CLIENT", "REPLY", "SKIP"), ("SET", "k", "v" * 200_000), ("STRLEN", "k"), ("STRLEN", "k")],
    "ON": [("CLIENT", "REPLY", "ON"), ("CLIENT", "REPLY", "on"), ("GET", "k")],
    "bad mode": [("CLIENT", "REPLY", "MAYBE"), ("CLIENT", "REPLY"), ("GET", "k")],
    "OFF and SUBSCRIBE": [("CLIENT", "REPLY", "OFF"), ("SUBSCRIBE", "a"), ("UNSUBSCRIBE",), ("CLIENT", "REPLY", "ON")],
    "OFF and EVALSHA": [("CLIENT", "REPLY", "OFF"), ("EVAL", "return 1", 0), ("CLIENT", "REPLY", "ON"),
                        ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", 0)],
}


@pytest.mark.parametrize("script", REPLY_SCRIPTS.values(), ids=REPLY_SCRIPTS)
def test_client_reply_as_in_redis(redis_server, respgate, script):
    direct, through = played(redis_server, respgate, *script)
    assert through == direct
    direct, through = played(redis_server, respgate, *script, together=False)
    assert through == direct


# ---- trap 17: SELECT ----

@pytest.mark.threads
def test_select_of_one_client_never_moves_the_keys_of_another(respgate):
    clients = [respgate.connect() for _ in range(8)]
    for db, client in enumerate(clients):
        assert client.call("SELECT", db) == "OK"
    for turn in range(20):
        for db, client in enumerate(clients):
            client.send(encode("SET", "k", f"{db}-{turn}") + encode("GET", "k"))
        for db, client in enumerate(clients):
            assert client.read_value() == "OK" and client.read_value() == f"{db}-{turn}".encode()
    assert respgate.connect().call("GET", "k") == b"0-19"


@pytest.mark.threads
def test_select_in_the_middle_of_a_pipeline_moves_what_is_behind_it_only(respgate):
    client = respgate.connect()
    block = encode("SELECT", 1) + encode("SET", "k", "in1") + encode("SELECT", 0) + encode("GET", "k") + \
        encode("SELECT", 1) + encode("GET", "k") + encode("DEL", "k") + encode("SELECT", 0)
    client.send(block * 50)
    for _ in range(50):
        assert [client.read_value() for _ in range(8)] == ["OK", "OK", "OK", None, "OK", b"in1", 1, "OK"]


SELECT_SCRIPTS = [("SELECT", 99), ("SELECT", -1), ("SELECT", "x"), ("SELECT", "1.5"), ("SELECT", "99999999999"),
                  ("SELECT",), ("SELECT", 1, 2), ("SELECT", "01"), ("SELECT", "")]


@pytest.mark.parametrize("command", SELECT_SCRIPTS, ids=[" ".join(map(str, command)) for command in SELECT_SCRIPTS])
def test_a_select_that_fails_has_the_words_of_redis_and_moves_nothing(redis_server, respgate, command):
    direct, through = played(redis_server, respgate, ("SET", "k", "in0"), command, ("GET", "k"))
    assert through == direct


def test_a_select_within_a_script_does_not_leak(redis_server, respgate):
    direct, through = played(redis_server, respgate, ("SET", "k", "in0"),
                             ("EVAL", "redis.call('select', 1); return redis.call('get', 'k')", 0), ("GET", "k"))
    assert through == direct
    assert respgate.connect().call("GET", "k") == b"in0"


@pytest.mark.parametrize("enter", [("MULTI",), ("WATCH", "w"), ("SUBSCRIBE", "a")])
def test_a_pinned_client_stays_in_its_database(redis_server, respgate, enter):
    client = respgate.connect()
    assert client.call("HELLO", 3) and client.call("SELECT", 5) == "OK"
    assert not isinstance(client.call(*enter), ErrorReply)
    client.command("SET", "k", "in5")
    client.read_reply()
    if enter == ("MULTI",):
        assert client.call("EXEC") == ["OK"]
    with redis_server.connect() as direct:
        assert direct.call("EXISTS", "k") == 0
        assert direct.call("SELECT", 5) == "OK" and direct.call("GET", "k") == b"in5"


# ---- trap 18: RESET ----

@pytest.mark.threads
@pytest.mark.parametrize("state", [
    [("SELECT", 1)], [("CLIENT", "SETNAME", "n")], [("HELLO", 3)], [("MULTI",), ("SET", "k", "no")], [("WATCH", "k")],
    [("CLIENT", "TRACKING", "ON", "BCAST")], [("CLIENT", "REPLY", "OFF")], [("HELLO", 3), ("SUBSCRIBE", "a")],
], ids=str)
def test_reset_gives_back_a_fresh_session(redis_server, respgate, state):
    if state[0][:2] == ("CLIENT", "TRACKING"):
        state = [("HELLO", 3), *state]
    after = [("RESET",), ("CLIENT", "GETNAME"), ("SET", "k", "v"), ("GET", "k"), ("HGETALL", "none"), ("EXEC",),
             ("CLIENT", "TRACKINGINFO")]
    answers = []
    for peer in (redis_server, respgate):
        with peer.connect() as connection:
            answers.append(play(connection, *state, *after))
    assert answers[1].split(b"+RESET\r\n")[1] == answers[0].split(b"+RESET\r\n")[1]
    assert redis_server.call("GET", "k") == b"v"


@pytest.mark.threads
def test_reset_leaves_monitor_and_the_client_is_an_ordinary_one_again(redis_server, respgate):
    watcher, other = respgate.connect(), respgate.connect()
    assert watcher.call("MONITOR") == "OK"
    assert other.call("SET", "k", "seen") == "OK"
    while not watcher.read_value().endswith('"SET" "k" "seen"'):
        pass  # logins of other connections, and checks, are seen as well
    assert watcher.call("RESET") == "RESET"
    assert other.call("SET", "k", "unseen") == "OK"
    assert watcher.is_silent(0.1)
    assert watcher.call("GET", "k") == b"unseen"
    wait_until(lambda: all("O" not in line["flags"] for line in backend_clients(redis_server)), what="no monitor left")


def test_commands_on_a_monitor_connection_get_the_words_of_redis(redis_server, respgate):
    answers = []
    for peer in (redis_server, respgate):
        with peer.connect() as watcher:
            assert watcher.call("MONITOR") == "OK"
            watcher.command("GET", "k")
            answers.append(next(reply for reply in iter(watcher.read_reply, None) if not reply.startswith(b"+")))
    assert answers[1] == answers[0]


def test_a_monitor_sees_every_command_once_and_others_see_none_of_it(redis_server, respgate):
    watcher, other = respgate.connect(), respgate.connect()
    assert other.call("PING") == "PONG" and watcher.call("MONITOR") == "OK"
    for number in range(200):
        assert other.call("SET", "k", number) == "OK"
    for number in range(200):
        assert watcher.read_value().endswith(f'"SET" "k" "{number}"')
    assert watcher.call("QUIT") == "OK" and watcher.at_eof()


# ---- trap 10: tracking ----

@pytest.mark.threads
def test_tracking_redirect_to_a_client_that_subscribes_later(redis_server, respgate):
    target, reader, writer, grabber = (respgate.connect() for _ in range(4))
    assert target.call("PING") == "PONG"
    number = target.call("CLIENT", "ID")
    assert reader.call("CLIENT", "TRACKING", "ON", "REDIRECT", number) == "OK"
    assert reader.call("GET", "k") is None
    assert writer.call("SET", "k", 1) == "OK"
    assert target.call("GET", "k") == b"1"
    grabber.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    assert target.call("SUBSCRIBE", INVALIDATE) == [b"subscribe", INVALIDATE, 1]
    assert reader.call("GET", "k") == b"1"
    assert writer.call("SET", "k", 2) == "OK"
    assert target.read_value() == [b"message", INVALIDATE, [b"k"]]
    assert reader.call("CLIENT", "TRACKING", "OFF") == "OK"
    assert reader.call("GET", "k") == b"2" and writer.call("SET", "k", 3) == "OK"
    assert target.is_silent(0.1) and reader.is_silent(0.01)


@pytest.mark.threads
def test_tracking_redirect_to_a_client_that_has_subscribed(respgate):
    target, reader, writer = (respgate.connect() for _ in range(3))
    number = target.call("CLIENT", "ID")
    assert target.call("SUBSCRIBE", INVALIDATE) == [b"subscribe", INVALIDATE, 1]
    assert reader.call("CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST", "PREFIX", "p:") == "OK"
    assert writer.call("MSET", "p:1", 1, "q:1", 1) == "OK"
    assert target.read_value() == [b"message", INVALIDATE, [b"p:1"]]


def test_tracking_redirect_to_nobody_has_the_words_of_redis(redis_server, respgate):
    client = respgate.connect()
    command = ("CLIENT", "TRACKING", "ON", "REDIRECT", 999_999_999)
    assert client.call(*command) == redis_server.call(*command)
    assert client.call("GET", "k") is None


def test_the_id_of_a_connection_of_redis_is_no_target(redis_server, respgate):
    client = respgate.connect()
    with redis_server.connect() as direct:
        strange = direct.call("CLIENT", "ID") + 1_000_000
        assert isinstance(client.call("CLIENT", "TRACKING", "ON", "REDIRECT", strange), ErrorReply)


@pytest.mark.threads
def test_tracking_in_resp3_pushes_what_others_change(redis_server, respgate):
    reader, writer = respgate.connect(), respgate.connect()
    assert reader.call("HELLO", 3)
    assert reader.call("CLIENT", "TRACKING", "ON") == "OK"
    for number in range(20):
        assert reader.call("GET", "k") == (b"%d" % (number - 1) if number else None)
        assert writer.call("SET", "k", number) == "OK"
        assert reader.read_value() == Push([b"invalidate", [b"k"]])
    assert writer.call("FLUSHALL") == "OK"
    assert reader.read_value() == Push([b"invalidate", None])
    assert reader.call("CLIENT", "TRACKINGINFO")[b"redirect"] == 0
    assert reader.call("CLIENT", "TRACKING", "OFF") == "OK"
    assert reader.call("CLIENT", "TRACKINGINFO")[b"redirect"] == -1
    assert reader.call("GET", "k") is None and writer.call("SET", "k", 1) == "OK" and reader.is_silent(0.1)


def test_tracking_optin_with_caching_as_in_redis(redis_server, respgate):
    script = [("CLIENT", "CACHING", "YES"), ("CLIENT", "TRACKING", "ON"), ("CLIENT", "GETREDIR"),
              ("CLIENT", "TRACKINGINFO"), ("CLIENT", "TRACKING", "ON", "BCAST"), ("CLIENT", "TRACKING", "OFF"),
              ("CLIENT", "TRACKING", "ON", "OPTIN"), ("CLIENT", "CACHING", "YES"), ("GET", "k"), ("CLIENT", "CACHING"),
              ("CLIENT", "TRACKING", "MAYBE"), ("CLIENT", "TRACKING", "OFF"), ("CLIENT", "TRACKINGINFO")]
    direct, through = played(redis_server, respgate, *script)
    assert through == direct


def test_a_client_that_stops_tracking_gives_its_connection_back(redis_server, respgate):
    client = respgate.connect()
    assert client.call("HELLO", 3)
    for _ in range(10):
        assert client.call("CLIENT", "TRACKING", "ON") == "OK" and client.call("CLIENT", "TRACKING", "OFF") == "OK"
    assert all("t" not in line["flags"] for line in backend_clients(redis_server))
    assert len(backend_ids(redis_server)) <= 4
