"""Pub/sub: confirmations, messages and counts come as Redis gives them, in RESP2 and RESP3, and a client that has
unsubscribed from everything is an ordinary one again."""

import pytest

from backend_view import backend_clients, info, play
from harness import ErrorReply, Push, encode, wait_until
from taken import wait_taken


def speak(connection, resp):
    """Switch to this RESP version."""
    assert connection.call("HELLO", resp)
    return connection


def subscribed_lanes(server):
    """Connections of a Redis that hold a subscription."""
    return [line for line in backend_clients(server) if "P" in line["flags"]]


def same_for_both(server, gate, resp, *commands):
    """The bytes that come back for a pipeline on a fresh connection, from Redis and through respgate."""
    answers = []
    for peer in (server, gate):
        with peer.connect() as connection:
            answers.append(play(speak(connection, resp), *commands))
    return answers


# ---- trap 12: unsubscribing ----

SCRIPTS = {
    "UNSUBSCRIBE after SUBSCRIBE a b c": [("SUBSCRIBE", "a", "b", "c"), ("UNSUBSCRIBE",)],
    "PUNSUBSCRIBE after PSUBSCRIBE": [("PSUBSCRIBE", "a*", "b*"), ("PUNSUBSCRIBE",)],
    "SUNSUBSCRIBE after SSUBSCRIBE": [("SSUBSCRIBE", "a", "b"), ("SUNSUBSCRIBE",)],
    "nothing subscribed": [("UNSUBSCRIBE",), ("PUNSUBSCRIBE",), ("SUNSUBSCRIBE",), ("UNSUBSCRIBE", "x", "y")],
    "channels and patterns mixed": [("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p*"), ("UNSUBSCRIBE",), ("PUNSUBSCRIBE",)],
    "one by one": [("SUBSCRIBE", "a", "b"), ("UNSUBSCRIBE", "a"), ("UNSUBSCRIBE", "a"), ("UNSUBSCRIBE", "b")],
    "the same twice": [("SUBSCRIBE", "a", "a"), ("SUBSCRIBE", "a"), ("UNSUBSCRIBE",)],
    "shards beside channels": [("SUBSCRIBE", "a"), ("SSUBSCRIBE", "s"), ("UNSUBSCRIBE",), ("SUNSUBSCRIBE",)],
    "too few arguments": [("SUBSCRIBE",), ("PSUBSCRIBE",), ("SUBSCRIBE", "a"), ("SUBSCRIBE",), ("UNSUBSCRIBE",)],
    "RESET": [("SUBSCRIBE", "a", "b"), ("RESET",)],
}


@pytest.mark.threads
@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_unsubscribing_is_confirmed_as_redis_does_and_leaves_an_ordinary_client(redis_server, respgate, script, resp):
    direct, through = same_for_both(redis_server, respgate, resp, *script, ("SET", "k", "v"), ("GET", "k"))
    assert through == direct
    assert through.endswith(b"+OK\r\n$1\r\nv\r\n")
    wait_until(lambda: not subscribed_lanes(redis_server), what="no subscription left")


@pytest.mark.parametrize("resp", [2, 3])
def test_a_client_that_unsubscribed_gives_its_connection_back(redis_server, start_respgate, resp):
    gate = start_respgate(redis_server, settings={"listen.workers": 1})
    client, other = speak(gate.connect(), resp), speak(gate.connect(), resp)
    for _ in range(20):
        for connection in (client, other):
            play(connection, ("SUBSCRIBE", "a", "b", "c"), ("UNSUBSCRIBE",))
    assert len(backend_clients(redis_server)) <= 4, backend_clients(redis_server)


# ---- while subscribed ----

LIMITED = [("GET", "k"), ("SET", "k", 1), ("CLIENT", "ID"), ("CLIENT", "LIST"), ("MULTI",), ("SELECT", 1), ("PING",),
           ("PING", "hello"), ("SHUTDOWN",), ("NOSUCH",), ("HELLO", 2), ("EVAL", "return 1", 0), ("XREAD", "BLOCK")]


@pytest.mark.parametrize("command", LIMITED, ids=[" ".join(map(str, command)) for command in LIMITED])
def test_a_subscribed_resp2_client_may_do_little_and_is_told_so_as_by_redis(redis_server, respgate, command):
    direct, through = same_for_both(redis_server, respgate, 2, ("SUBSCRIBE", "a"), command, ("UNSUBSCRIBE",))
    assert through == direct


@pytest.mark.threads
def test_a_subscribed_resp3_client_may_do_everything_and_gets_messages_in_between(redis_server, respgate):
    script = [("SUBSCRIBE", "a", "b"), ("SET", "k", 1), ("PUBLISH", "a", "to myself"), ("GET", "k"), ("MULTI",),
              ("INCR", "k"), ("PUBLISH", "b", "from exec"), ("EXEC",), ("PING",), ("UNSUBSCRIBE", "a"),
              ("PUBLISH", "a", "lost"), ("SELECT", 1), ("GET", "k"), ("SELECT", 0)]
    direct, through = same_for_both(redis_server, respgate, 3, *script)
    assert through == direct


def test_hello_2_while_subscribed_in_resp3_falls_back_to_the_narrow_rules(redis_server, respgate):
    answers = []
    for peer in (redis_server, respgate):
        with peer.connect() as connection:
            speak(connection, 3)
            assert isinstance(connection.call("SUBSCRIBE", "a"), Push)
            assert isinstance(connection.call("HELLO", 2), list)
            connection.command("GET", "k")
            answers.append(connection.read_reply())
            assert peer.call("PUBLISH", "a", "m") == 1 if peer is redis_server else True
    assert answers[1] == answers[0] and b"only (P|S)SUBSCRIBE" in answers[1]


# ---- trap 22: counts ----

@pytest.mark.threads
def test_publish_counts_three_subscribers_through_the_proxy(redis_server, respgate):
    listeners = [respgate.connect() for _ in range(3)]
    for number, listener in enumerate(listeners):
        speak(listener, 2 + number % 2)
        assert listener.call("SUBSCRIBE", "news") == ["subscribe".encode(), b"news", 1]
    publisher = respgate.connect()
    assert publisher.call("PUBLISH", "news", "m") == 3
    assert publisher.call("PUBSUB", "NUMSUB", "news") == [b"news", 3]
    assert publisher.call("PUBSUB", "CHANNELS") == [b"news"]
    for listener in listeners:
        assert listener.read_value() == [b"message", b"news", b"m"]
    listeners[0].close()
    wait_until(lambda: publisher.call("PUBLISH", "news", "again") == 2, what="the gone subscriber not to be counted")
    assert redis_server.call("PUBLISH", "news", "direct") == 2


def test_a_publisher_that_listens_to_itself_gets_message_and_reply_in_the_order_of_the_server(redis_server, respgate):
    direct, through = same_for_both(redis_server, respgate, 3, ("SUBSCRIBE", "me"), ("PUBLISH", "me", "x"))
    assert through == direct  # the message comes first from Redis 7, the reply from Redis 8
    assert b"message" in through and through.count(b":1\r\n") == 2


# ---- messages ----

@pytest.mark.threads
@pytest.mark.parametrize("resp", [2, 3])
def test_a_thousand_messages_arrive_once_each_and_in_order(respgate, resp):
    listener, publisher = speak(respgate.connect(), resp), respgate.connect()
    listener.command("PSUBSCRIBE", "n*")
    listener.read_reply()
    publisher.send(b"".join(encode("PUBLISH", f"n{number % 7}", number) for number in range(1000)))
    for number in range(1000):
        assert listener.read_value() == [b"pmessage", b"n*", b"n%d" % (number % 7), b"%d" % number]
    assert [publisher.read_value() for _ in range(1000)] == [1] * 1000


@pytest.mark.threads
def test_messages_for_one_client_never_reach_another(respgate):
    listeners = [respgate.connect() for _ in range(10)]
    for number, listener in enumerate(listeners):
        assert listener.call("SUBSCRIBE", f"c{number}") == [b"subscribe", b"c%d" % number, 1]
    publisher = respgate.connect()
    for number in range(100):
        publisher.command("PUBLISH", f"c{number % 10}", number)
    assert [publisher.read_value() for _ in range(100)] == [1] * 100
    for number, listener in enumerate(listeners):
        for turn in range(10):
            assert listener.read_value() == [b"message", b"c%d" % number, b"%d" % (turn * 10 + number)]
        assert listener.is_silent(0.01)


def test_shard_messages_arrive_and_keyspace_channels_carry_the_db(redis_server, respgate):
    listener, client = respgate.connect(), respgate.connect()
    assert redis_server.call("CONFIG", "SET", "notify-keyspace-events", "KEA") == "OK"
    assert listener.call("SSUBSCRIBE", "s") == [b"ssubscribe", b"s", 1]
    assert client.call("SPUBLISH", "s", "m") == 1
    assert listener.read_value() == [b"smessage", b"s", b"m"]
    assert listener.call("PSUBSCRIBE", "__keyspace@1__:*") == [b"psubscribe", b"__keyspace@1__:*", 1]
    assert client.call("SELECT", 1) == "OK" and client.call("SET", "k", "v") == "OK"
    assert listener.read_value() == [b"pmessage", b"__keyspace@1__:*", b"__keyspace@1__:k", b"set"]


def test_a_message_larger_than_every_buffer_arrives_whole(respgate):
    listener, publisher = respgate.connect(), respgate.connect()
    assert listener.call("SUBSCRIBE", "c") == [b"subscribe", b"c", 1]
    body = b"0123456789" * 500_000
    publisher.command("PUBLISH", "c", body)
    assert listener.read_value() == [b"message", b"c", body]
    assert publisher.read_value() == 1


# ---- trap 18: RESET inside SUBSCRIBE ----

@pytest.mark.threads
@pytest.mark.parametrize("resp", [2, 3])
def test_reset_leaves_all_subscriptions_at_once(redis_server, respgate, resp):
    listener = speak(respgate.connect(), resp)
    play(listener, ("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "c*"), ("SSUBSCRIBE", "s"))
    assert listener.call("RESET") == "RESET"
    wait_until(lambda: not subscribed_lanes(redis_server), what="no subscription left")
    assert redis_server.call("PUBLISH", "a", "lost") == 0
    assert listener.call("SET", "k", "v") == "OK" and listener.is_silent(0.05)


def test_quit_while_subscribed_says_ok_and_closes(respgate):
    listener = respgate.connect()
    assert listener.call("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    assert listener.call("QUIT") == "OK" and listener.at_eof()


def test_a_subscriber_that_leaves_is_gone_for_redis_too(redis_server, respgate):
    listeners = [respgate.connect() for _ in range(5)]
    for listener in listeners:
        assert listener.call("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    assert len(subscribed_lanes(redis_server)) == 5
    for listener in listeners:
        listener.close()
    wait_until(lambda: not subscribed_lanes(redis_server), what="no subscription left")


def test_commands_pipelined_behind_a_subscribe_keep_their_order(redis_server, respgate):
    listener = respgate.connect()
    redis_server.pause()
    listener.send(encode("SET", "k", "v") + encode("GET", "k") + encode("SUBSCRIBE", "a") + encode("PING", "p"))
    wait_taken(listener.socket)
    redis_server.resume()
    values = [listener.read_value() for _ in range(4)]
    assert values == ["OK", b"v", [b"subscribe", b"a", 1], [b"pong", b"p"]]
    assert int(info(redis_server, "stats")["pubsub_channels"]) == 1
    assert not isinstance(listener.call("UNSUBSCRIBE"), ErrorReply)
