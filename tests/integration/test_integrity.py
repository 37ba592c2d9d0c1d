"""No reply to the wrong client: tagged load with disconnects, splits, pins and killed backend connections; every split
of a whole conversation; every split of replies.
"""

import sys

import pytest

from harness import ROOT
from tagload import keep_figure, run_tagload
from taken import send_in_pieces
from wire import RespConnection, encode

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply, silence  # noqa: E402

WORKERS = [pytest.param(1, id="1-worker"), pytest.param(2, id="2-workers", marks=pytest.mark.threads)]


def tell(figure, what, verdict):
    """Print the figure, keep it for the summary of the run and in the file that outlives it."""
    line = f"{what}: {verdict}"
    print(line)
    figure(line)
    keep_figure(line)


def assert_none_wrong(verdict, replies):
    """The verdict of a run in which everything was right."""
    assert verdict.code == 0, verdict.words
    assert verdict.wrong == 0 and verdict.missing == 0 and verdict.replies >= replies


@pytest.mark.figures
@pytest.mark.parametrize("workers", WORKERS)
def test_no_reply_to_the_wrong_client_under_load_and_faults(start_respgate, redis_server, figure, workers):
    gate = start_respgate(redis_server, settings={"listen.workers": workers})
    verdict = run_tagload(gate.port, 1_000_000, redis_server.port, kill_interval_ms=50)
    tell(figure, f"tagged replies with faults, {workers} worker(s)", verdict)
    assert_none_wrong(verdict, 1_000_000)
    assert verdict.killed >= 100 and verdict.disconnects >= 1000 and verdict.pins >= 1000
    assert verdict.unknown > 0, "no request was in flight when a lane was killed: this run proves nothing about faults"


@pytest.mark.parametrize("workers", WORKERS)
def test_no_reply_to_the_wrong_client_in_a_short_run_with_faults(start_respgate, redis_server, workers):
    gate = start_respgate(redis_server, settings={"listen.workers": workers})
    verdict = run_tagload(gate.port, 50_000, redis_server.port, kill_interval_ms=20)
    assert_none_wrong(verdict, 50_000)
    assert verdict.killed > 0


@pytest.mark.parametrize("workers", WORKERS)
def test_every_reply_comes_when_no_connection_is_killed(start_respgate, redis_server, figure, workers):
    gate = start_respgate(redis_server, settings={"listen.workers": workers, "backend.default.connections": 2})
    verdict = run_tagload(gate.port, 100_000)
    tell(figure, f"tagged replies without faults, {workers} worker(s)", verdict)
    assert_none_wrong(verdict, 100_000)
    assert verdict.closed_by_peer == 0 and verdict.half_closes > 10


# ---- every split of a conversation ----

CONVERSATION = [
    (b"HELLO", b"3"), (b"CLIENT", b"SETNAME", b"split"), (b"SET", b"k", b"v\r\n$5\r\n"), (b"GET", b"k"),
    (b"MGET", b"k", b"none"), (b"LPUSH", b"k", b"x"), (b"NOSUCH", b"a"), (b"GET",), (b"PING", b"p"),
    (b"MULTI",), (b"SET", b"t", b"1"), (b"INCR", b"t"), (b"EXEC",),
    (b"SUBSCRIBE", b"c", b"d"), (b"PUBLISH", b"c", b"m"), (b"UNSUBSCRIBE", b"c", b"d"),
    (b"SELECT", b"1"), (b"GET", b"k"), (b"SELECT", b"0"), (b"WATCH", b"w"), (b"MULTI",), (b"GET", b"k"), (b"EXEC",),
    (b"EVAL", b"return {1,{ARGV[1]}}", b"0", b"e"), (b"CLIENT", b"REPLY", b"SKIP"), (b"ECHO", b"no"), (b"ECHO", b"yes"),
    (b"HSET", b"h", b"f", b"v"), (b"HGETALL", b"h"), (b"DEL", b"h", b"t", b"k"), (b"HELLO", b"2"),
    (b"CLIENT", b"GETNAME"),
]
INLINE = b"\r\nGET k\r\n*0\r\nECHO \"in line\"\r\n"
END = b"the end of this conversation"


def conversation():
    """The whole as bytes; ends with an ECHO by which its last reply is known."""
    return b"".join(encode(*command) for command in CONVERSATION) + INLINE + encode("ECHO", END)


def without_id(raw):
    """The connection's id is the only byte that may differ."""
    before, field, after = raw.partition(b"$2\r\nid\r\n:")
    return before + field + (without_id(after[after.index(b"\r\n"):]) if field else b"")


def converse(port, pieces):
    """Send the pieces, each once the one before was read; return every reply byte, without ids."""
    received = b""
    with RespConnection(port) as client:
        send_in_pieces(client.socket, pieces)
        while not received.endswith(b"$%d\r\n%b\r\n" % (len(END), END)):
            received += client.read_reply()
    return without_id(received)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_conversation_split_at_every_byte_is_answered_alike(start_respgate, redis_server, workers):
    whole = conversation()
    expected = converse(redis_server.port, [whole])
    gate = start_respgate(redis_server, settings={"listen.workers": workers})
    assert converse(gate.port, [whole]) == expected, "even unsplit"
    for split in range(1, len(whole)):
        assert converse(gate.port, [whole[:split], whole[split:]]) == expected, f"split at byte {split}"


def test_a_conversation_byte_by_byte_is_answered_alike(respgate, redis_server):
    whole = conversation()
    expected = converse(redis_server.port, [whole])
    assert converse(respgate.port, [whole[i:i + 1] for i in range(len(whole))]) == expected


# ---- every split of replies ----

REPLIES = [
    b"+OK\r\n", b"-ERR no\r\n", b":-12\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$11\r\n$5\r\nab\r\nxyz\r\n", b"*-1\r\n",
    b"*0\r\n",
    b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n+b\r\n", b"_\r\n", b"#t\r\n", b",-inf\r\n", b"(12345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n", b"!6\r\nERR no\r\n", b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n%0\r\n", b"~2\r\n:1\r\n$1\r\nx\r\n",
    b"|1\r\n+ttl\r\n:5\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n",
]


@pytest.mark.parametrize("workers", WORKERS)
def test_replies_split_at_every_byte_arrive_whole(start_respgate, workers):
    stream = b"".join(REPLIES)
    with FakeRedis() as fake:
        gate = start_respgate(fake.url(), settings={"listen.workers": workers}, expect_exit=None)
        with RespConnection(gate.port) as client:
            assert client.call("HELLO", 3)[b"proto"] == 3
            for split in range(1, len(stream)):
                for _ in REPLIES[1:]:
                    fake.once("GET", silence())
                fake.once("GET", reply(stream[:split], stream[split:]))  # all replies once the last request is there
                client.send(encode("GET", "k") * len(REPLIES))
                assert [client.read_reply() for _ in REPLIES] == REPLIES, f"split at byte {split}"
            assert client.is_silent(0.05)
        gate.kill()
