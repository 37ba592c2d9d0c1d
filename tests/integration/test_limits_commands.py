"""Limiter commands through respgate on a real Redis: published vectors, errors, odd keys, every form they may come in."""

import random

import pytest

from harness import ErrorReply, encode
from limiter_scripts.cl_model import NS, Throttle
from limiter_scripts.lab import FOREIGN, ODD_KEYS
from limits import LIMIT_IDS, LIMIT_OF_FIVE, timeless
from taken import send_in_pieces
from test_limit_commands import EVERY_COMMAND, WRONG_TYPE
from test_limiter_scripts_throttle import VECTORS

ZERO_RATE = "Cell error: Store error: Zero rates are not supported"
USAGE = "Cell error: Store error: Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]"
NOT_INTEGER = "ERR value is not an integer or out of range"
POSITIVE = "ERR limit and period must be positive"
SYNTAX = "ERR syntax error"
ERRORS = [
    (("CL.THROTTLE", "k"), USAGE), (("CL.THROTTLE", "k", 1, 1, 1, 1, 1), USAGE), (("CL.THROTTLE", "k", 0, 0, 60), ZERO_RATE),
    (("CL.THROTTLE", "k", 1, 5, 0), ZERO_RATE), (("CL.THROTTLE", "k", 1, 2000000000, 1), ZERO_RATE),
    (("CL.THROTTLE", "k", "x", 1, 1), "Cell error: Store error: Couldn't parse as integer: x"),
    (("CL.THROTTLE", "k", 1, b"a\r\nb", 1), "Cell error: Store error: Couldn't parse as integer: a  b"),
    (("CL.THROTTLE", "k", 2**62, 1, 2**40), "ERR value is out of range"),
    (("LIM.GCRA", "k", 5, 5), "ERR wrong number of arguments for 'lim.gcra' command"),
    (("LIM.GCRA", "k", 0, 5, 1000), POSITIVE), (("LIM.GCRA", "k", 5, 5, "x"), NOT_INTEGER),
    (("LIM.GCRA", "k", 5, 5, 1000, "COUNTDENIED"), SYNTAX), (("LIM.GCRA", "k", 5, 5, 1000, "PEEK", "PARTIAL"), SYNTAX),
    (("LIM.WINDOW", "k", 5, 0), POSITIVE), (("LIM.WINDOW", "k", 5, 1000, "ALIGN", "x"), SYNTAX),
    (("LIM.SLIDE", "k", 5, 1000, "LOG", "COUNTER"), SYNTAX), (("LIM.REFUND", "k", "NONE", 5, 1000, "COST", 1), SYNTAX),
    (("LIM.RESET",), "ERR wrong number of arguments for 'lim.reset' command"),
    (("LIM.MULTI", 2, "k", "k", "WINDOW", 5, 1000, "WINDOW", 5, 1000), "ERR the keys must all be different"),
    (("SEM.ACQUIRE", "k"), "ERR wrong number of arguments for 'sem.acquire' command"),
    (("SEM.ACQUIRE", "k", 0, 1000, "t"), "ERR max and lease must be positive"),
    (("SEM.ACQUIRE", "k", "x", 1000, "t"), NOT_INTEGER), (("SEM.ACQUIRE", "k", 1, 1000, "t", "WAIT"), SYNTAX),
    (("SEM.ACQUIRE", "k", 1, 1000, ""), "ERR a token must not be empty or begin with a NUL byte"),
    (("SEM.RENEW", "k", "t"), "ERR wrong number of arguments for 'sem.renew' command"),
    (("INCREX",), "ERR wrong number of arguments for 'increx' command"),
    (("INCREX", "k", "ENX"), "ERR ENX flag requires an expiration"), (("INCREX", "k", "PERSIST", "EX", 1), SYNTAX)]


@pytest.fixture
def client(respgate):
    """A connection through respgate."""
    return respgate.connect()


def pass_time(server, key, seconds):
    """Have so much time pass for a key of CL.THROTTLE: its state is the time at which it is empty, in ns."""
    state = server.call("GET", key)
    if state and seconds:
        server.call("SET", key, int(state) - round(seconds * NS), "KEEPTTL")


def milliseconds(direct):
    """The server's clock."""
    seconds, micros = direct.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("name", VECTORS)
def test_cl_throttle_answers_the_published_vectors(redis_server, client, name, resp):
    client.call("HELLO", resp)
    before = 0
    for burst, count, period, at, quantity, reply in VECTORS[name]:
        pass_time(redis_server, "k", at - before)
        before = at
        assert client.call("CL.THROTTLE", "k", burst, count, period, quantity) == reply, (at, quantity)


def test_cl_throttle_equals_the_model_in_random_calls(redis_server, client):
    """TIME before and after the call bound the moment at which it ran."""
    rng = random.Random(4)
    with redis_server.connect() as direct:
        for number in range(400):
            burst, count, period = rng.randrange(1000), rng.randint(1, 10**rng.randint(1, 6)), rng.randint(1, 10**4)
            throttle = Throttle(burst, count, period, rng.choice((1, 1, 2, 0, -1, rng.randint(-3, burst + 3))))
            key, now = f"k{number}", direct.call("TIME")
            now_ns = int(now[0]) * NS + int(now[1]) * 1000
            stored = now_ns + rng.choice((0, throttle.tolerance, throttle.tolerance - throttle.cost,
                                          rng.randrange(throttle.tolerance + 1))) + rng.choice((-1, 0, 1))
            direct.call("SET", key, stored)
            quantity = throttle.cost // throttle.interval
            client.send(encode("TIME") + encode("CL.THROTTLE", key, burst, count, period, quantity) + encode("TIME"))
            first, reply, last = (client.read_value() for _ in range(3))
            moments = [int(first[0]) * NS + int(first[1]) * 1000, int(last[0]) * NS + int(last[1]) * 1000]
            bounds = [throttle.call(stored, moment)[0] for moment in moments]
            assert all(min(pair) <= value <= max(pair) for value, *pair in zip(reply, *bounds)), (reply, bounds)


@pytest.mark.parametrize("resp", [2, 3])
def test_errors_have_their_texts_and_never_reach_the_backend(redis_server, client, resp):
    client.call("HELLO", resp)
    for command, text in ERRORS:
        reply = client.call(*command)
        assert isinstance(reply, ErrorReply) and reply == text, command
    assert redis_server.call("INFO", "commandstats").count(b"eval") == 0


def test_backends_errors_pass(redis_server, client):
    redis_server.call("SET", "k", "foreign")
    redis_server.call("RPUSH", "list", "v")
    for command in (("CL.THROTTLE", "k", 1, 1, 1), *LIMIT_OF_FIVE):
        assert client.call(*command) == (FOREIGN if "LOG" not in command else WRONG_TYPE)
        assert client.call(command[0], "list", *command[2:]).startswith("WRONGTYPE ")


@pytest.mark.parametrize("command", LIMIT_OF_FIVE, ids=LIMIT_IDS)
def test_five_are_admitted_and_the_sixth_is_not(client, command):
    for left in (4, 3, 2, 1, 0):
        assert timeless(client.call(*command)) == [1, 5, left, -1, 0, 0, 1, 0]
    denied = client.call(*command)
    assert denied[:3] == [0, 5, 0] and denied[6:] == [0, 1] and 0 < denied[3] <= 3600001
    assert client.call(*command, "COST", 6)[3::4] == [-2, 3]
    refund = ("LIM.REFUND", "k", command[0].partition(".")[2], *command[2:], "COST", 2)
    assert client.call(*refund)[6] == -2 and client.call(*command, "COST", 2)[6:] == [2, 0]
    assert client.call(*command, "PEEK")[2] == 0
    if command[0] != "LIM.SLIDE":
        assert client.call(*refund)[6] == -2 and client.call(*command, "COST", 3, "PARTIAL")[6] == 2
    assert client.call("LIM.RESET", "k") == 1 and client.call(*command, "PEEK")[2] == 5


def test_the_sliding_counter_vector(redis_server, client):
    """prev 10, cur 4, a quarter of the window over: estimate 7 + 4, denied until prev weighs 5. Windows are aligned, so
    a length is taken of which a quarter is over now."""
    with redis_server.connect() as direct:
        now_ms = milliseconds(direct)
        window = now_ms * 4 // 5
        direct.call("SET", "k", f"{window} 4 10")
        reply = client.call("LIM.SLIDE", "k", 10, window)
        taken_ms = milliseconds(direct) - now_ms
    retry = window - -(-6 * window // 10) + 1 - (now_ms - window)
    assert reply[:3] == [0, 10, 0] and retry - taken_ms <= reply[3] <= retry


def test_all_or_nothing(redis_server, client):
    command = ("LIM.MULTI", 4, "{a}g", "{a}w", "{a}s", "{a}sem", "GCRA", 9, 1, 60000, "WINDOW", 1, 60000, "COST", 1,
               "SLIDE", 9, 60000, "LOG", "SEM", 2, 30000)
    assert client.call(*command, "t")[:3] == [1, -1, -1]
    before = [redis_server.call("DUMP", key) for key in ("{a}g", "{a}w", "{a}s", "{a}sem")]
    reply = client.call(*command, "u")
    assert reply[:2] == [0, 1] and 0 < reply[2] <= 60000
    assert [redis_server.call("DUMP", key) for key in ("{a}g", "{a}w", "{a}s", "{a}sem")] == before


@pytest.mark.parametrize("resp", [2, 3])
def test_increx_replies_as_redis_does(redis_server, client, resp):
    greatest = 2**63 - 1
    client.call("HELLO", resp)
    redis_server.call("SET", "k", 99)
    assert client.call("INCREX", "k", "BYINT", 5, "UBOUND", 100) == [99, 0]
    assert client.call("INCREX", "k", "BYINT", 5, "UBOUND", 100, "SATURATE") == [100, 1]
    assert client.call("INCREX", "k", "EX", 100, "ENX") == [101, 1] and 0 < redis_server.call("TTL", "k") <= 100
    assert client.call("INCREX", "n", "BYINT", greatest) == [greatest, greatest]
    assert client.call("INCREX", "n") == [greatest, 0]
    client.send(encode("INCREX", "f", "BYFLOAT", "1.5"))
    assert client.read_reply() == (b"*2\r\n,1.5\r\n,1.5\r\n" if resp == 3 else b"*2\r\n$3\r\n1.5\r\n$3\r\n1.5\r\n")


def test_a_backend_that_does_not_know_increx_is_asked_once(redis_server, client):
    for value in (1, 2, 3):
        assert client.call("INCREX", "k") == [value, 1]
    stats = redis_server.call("INFO", "errorstats")
    assert b"errorstat_ERR:count=1" in stats, stats


@pytest.mark.parametrize("key", [b"k", b"", *ODD_KEYS], ids=["plain", "empty", "braces", "reversed", "binary", "32 KB"])
def test_any_key_will_do(redis_server, client, key):
    for command in EVERY_COMMAND:
        reply = client.call(*(key if argument == "k" else argument for argument in command))
        assert not isinstance(reply, ErrorReply) or reply == FOREIGN or reply.startswith("WRONGTYPE"), command
    assert client.call("LIM.RESET", key) in (0, 1)
    assert client.call("SEM.ACQUIRE", key, 2, 30000, "a")[:3] == [1, 1, 2]
    assert client.call("SEM.HOLDERS", key)[0][0] == b"a" and redis_server.call("EXISTS", key) == 1


@pytest.mark.parametrize("resp", [2, 3])
def test_a_semaphore(client, resp):
    client.call("HELLO", resp)
    first = client.call("SEM.ACQUIRE", "k", 2, 30000, "a", "SLOTS")
    assert timeless(first) == [1, 1, 2, 0, 0, 0, 0, -1, -1, 0] and 29000 < first[3] <= 30000
    again = client.call("SEM.ACQUIRE", "k", 2, 30000, "a", "SLOTS")
    assert again[4] == first[4] and again[6] == 1
    assert client.call("SEM.ACQUIRE", "k", 2, 30000, "b")[4] > first[4]
    denied = client.call("SEM.ACQUIRE", "k", 2, 30000, "c")
    assert timeless(denied) == [0, 2, 2, 0, 0, -1, 0, 0, -1, 1] and 0 < denied[7] <= 30000
    assert client.call("SEM.COUNT", "k") == [2, 0, 0]
    assert client.call("SEM.HOLDERS", "k", "COUNT", 1)[0][::2] == [b"a", first[4]]
    assert client.call("SEM.CHECK", "k", "a", first[4]) > 0 and client.call("SEM.CHECK", "k", "a", 1) == 0
    assert client.call("SEM.RENEW", "k", "a", 60000) == 60000 and client.call("SEM.RENEW", "k", "x", 60000) == 0
    assert client.call("SEM.RELEASE", "k", "a", "x") == 1 and client.call("SEM.RELEASE", "k", "a") == 0
    assert client.call("SEM.REVOKE", "k", "*") == 1 and client.call("SEM.COUNT", "k") == [0, 0, 0]


def test_more_arguments_than_any_command_takes(client):
    for count in (900, 1099, 1100, 1101, 5000):
        reply = client.call("LIM.RESET", *(f"{{a}}{number}" for number in range(count)))
        assert reply == 0 if count < 1100 else isinstance(reply, ErrorReply), (count, reply)
    assert isinstance(client.call("SEM.RELEASE", "k", *range(1001)), ErrorReply)
    assert isinstance(client.call("LIM.TRY", "api", *range(5000)), ErrorReply)
    assert client.call("PING") == "PONG"


def test_a_call_too_large_to_be_held_is_refused(client):
    """Too large to be read whole before its first byte is sent on."""
    assert client.call("LIM.WINDOW", b"k" * 300_000, 5, 60000)[0] == 1
    assert client.call("PING") == "PONG"


def test_inline_and_in_pieces(client):
    client.send(b'cl.throttle "k y" 4 1 1\r\nLim.Window w 5 60000 cost 2\r\n')
    assert [client.read_value() for _ in range(2)][0] == [0, 5, 4, -1, 1]
    send_in_pieces(client.socket, [bytes([byte]) for byte in encode("LIM.WINDOW", "w", 5, 60000)])
    assert client.read_value()[2] == 2


def test_two_dbs_do_not_share(client):
    assert client.call("LIM.WINDOW", "k", 1, 60000)[0] == 1
    client.call("SELECT", 1)
    assert client.call("LIM.WINDOW", "k", 1, 60000)[0] == 1 and client.call("LIM.WINDOW", "k", 1, 60000)[0] == 0
    client.call("SELECT", 0)
    assert client.call("LIM.WINDOW", "k", 2, 60000)[0] == 1
