"""Limiter commands end to end without a proxy: limitcall translates them, a real Redis runs the scripts."""

import pytest

from harness import encode, free_port, wait_until
from limiter_scripts.lab import FOREIGN, ODD_KEYS, START_US, Lab, assemble, is_error
from limiter_scripts.translated import Translator
from test_limiter_scripts_throttle import VECTORS

WINDOW_START_US = START_US - START_US % 60_000_000
EVERY_COMMAND = [
    ("CL.THROTTLE", "k", 4, 1, 1), ("LIM.GCRA", "k", 5, 5, 1000, "IDEM", "i"), ("LIM.WINDOW", "k", 5, 1000, "IDEM", "i"),
    ("LIM.SLIDE", "k", 5, 1000, "IDEM", "i"), ("LIM.SLIDE", "k", 5, 1000, "LOG", "IDEM", "i"),
    ("LIM.REFUND", "k", "GCRA", 5, 5, 1000, "COST", 1), ("LIM.REFUND", "k", "WINDOW", 5, 1000, "COST", 1),
    ("LIM.REFUND", "k", "SLIDE", 5, 1000, "COST", 1), ("LIM.REFUND", "k", "SLIDE", 5, 1000, "LOG", "COST", 1),
    ("LIM.RESET", "k"), ("LIM.MULTI", 1, "k", "SEM", 5, 1000, "t"), ("SEM.ACQUIRE", "k", 5, 1000, "t"),
    ("SEM.ACQUIRE", "k", 5, 1000, "t", "FIFO", "SLOTS"), ("SEM.RENEW", "k", "t", 1000, 5), ("SEM.RELEASE", "k", "t"),
    ("SEM.CHECK", "k", "t", 5), ("SEM.COUNT", "k"), ("SEM.HOLDERS", "k"), ("SEM.REVOKE", "k", "t"),
    ("SEM.REVOKE", "k", "*"), ("INCREX", "k", "UBOUND", 5), ("INCREX", "k", "BYFLOAT", "1.5", "EX", 100)]


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_FLOAT = "ERR value is not a valid float"


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own, which also fails what touches an undeclared key."""
    with Lab(redis_server) as made:
        made.now_us = WINDOW_START_US
        yield made


@pytest.fixture
def client(lab):
    """Commands on that clock."""
    return Translator(lab)


@pytest.mark.parametrize("name", VECTORS)
def test_cl_throttle_answers_the_published_vectors(lab, client, name):
    for burst, count, period, at, quantity, reply in VECTORS[name]:
        lab.now_us = START_US + round(at * 1000000)
        assert client.call("CL.THROTTLE", "k", burst, count, period, quantity) == reply, (at, quantity)


def test_cl_throttle_keeps_the_rate_above_a_thousand_a_second(lab, client):
    assert client.call("CL.THROTTLE", "k", 0, 2000, 1) == [0, 1, 0, -1, 0]
    assert client.call("CL.THROTTLE", "k", 0, 2000, 1) == [1, 1, 0, 1, 0]
    assert client.call("CL.THROTTLE", "k", 0, 2000, 1, options=["--exact"]) == [1, 1, 0, 0, 0]
    assert client.call("CL.THROTTLE", "other", 5, 10, 60) == [0, 6, 5, -1, 6]


def test_errors_never_reach_the_backend(client):
    assert client.call("CL.THROTTLE", "a", 0, 0, 60) == "Cell error: Store error: Zero rates are not supported"
    assert client.call("SEM.ACQUIRE", "k") == "ERR wrong number of arguments for 'sem.acquire' command"
    assert client.call("CL.THROTTLE", "a", b"x\r\n\0", 1, 1) == "Cell error: Store error: Couldn't parse as integer: x   "


def test_backends_errors_pass(lab, client):
    lab.call("SET", "k", "foreign")
    lab.call("RPUSH", "list", "v")
    for command in (("CL.THROTTLE", "k", 1, 1, 1), ("LIM.GCRA", "k", 1, 1, 1), ("LIM.WINDOW", "k", 1, 1),
                    ("LIM.SLIDE", "k", 1, 1)):
        assert client.call(*command) == FOREIGN
        assert is_error(client.call(command[0], "list", *command[2:]), "WRONGTYPE ")


def test_gcra_and_its_retry(lab, client):
    for left in (2, 1, 0):
        assert client.call("LIM.GCRA", "k", 3, 1, 1000)[:4] == [1, 3, left, -1]
    assert client.call("LIM.GCRA", "k", 3, 1, 1000) == [0, 3, 0, 1000, 3000, 1000, 0, 1]
    assert client.call("LIM.GCRA", "k", 3, 1, 1000, "DELAY", 1500) == [1, 3, 0, 1000, 4000, 2000, 1, 8]
    assert client.call("LIM.REFUND", "k", "GCRA", 3, 1, 1000, "COST", 9) == [1, 3, 3, -1, 0, 0, -4, 0]
    assert client.call("LIM.GCRA", "k", 3, 1, 1000, "COST", 2**53 - 1) == [0, 3, 3, -2, 0, 0, 0, 3]
    assert client.call("LIM.GCRA", "k", 3, 1, 1000, "COST", 5, "PARTIAL")[6] == 3


def test_a_hundred_years_are_not_too_long(client):
    """State stays readable, and TTLs in range, at the longest durations that are taken."""
    longest = 3153600000000
    assert client.call("LIM.GCRA", "g", 1, 1, longest // 2)[0] == 1
    assert client.call("LIM.GCRA", "g", 1, 1, longest // 2)[:4] == [0, 1, 0, longest // 2]
    for command in (("LIM.WINDOW", "w", 1, longest), ("LIM.SLIDE", "c", 1, longest),
                    ("LIM.SLIDE", "l", 1, longest, "LOG")):
        assert client.call(*command)[0] == 1 and client.call(*command)[0] == 0
    assert client.call("SEM.ACQUIRE", "s", 1, longest, "t")[:4] == [1, 1, 1, longest]
    assert client.call("SEM.RENEW", "s", "t", longest) == longest
    assert client.call("SEM.ACQUIRE", "s", 1, longest, "u")[0] == 0


def test_the_sliding_counter_vector(lab, client):
    assert client.call("LIM.SLIDE", "k", 10, 60000, "COST", 10)[0] == 1
    lab.now_us += 60_000_000
    assert client.call("LIM.SLIDE", "k", 20, 60000, "COST", 4)[0] == 1
    lab.now_us += 15_000_000
    assert client.call("LIM.SLIDE", "k", 10, 60000)[:4] == [0, 10, 0, 9001]


def test_windows(lab, client):
    lab.now_us += 400_000
    assert client.call("LIM.WINDOW", "e", 2, 1000, "ALIGN", "EPOCH", "COST", 2) == [1, 2, 0, -1, 600, 600, 2, 0]
    assert client.call("LIM.WINDOW", "f", 2, 1000, "COST", 2) == [1, 2, 0, -1, 1000, 1000, 2, 0]
    lab.now_us += 600_000
    assert client.call("LIM.WINDOW", "e", 2, 1000, "ALIGN", "EPOCH", "PEEK")[2] == 2
    assert client.call("LIM.WINDOW", "f", 2, 1000) == [0, 2, 0, 400, 400, 400, 0, 1]
    assert client.call("LIM.WINDOW", "f", 2, 1000, "COUNTDENIED") == [0, 2, 0, 400, 400, 400, 1, 1]


@pytest.mark.parametrize("command", [
    ("LIM.GCRA", "k", 5, 5, 60000), ("LIM.WINDOW", "k", 5, 60000), ("LIM.SLIDE", "k", 5, 60000),
    ("LIM.SLIDE", "k", 5, 60000, "LOG")])
def test_a_repeated_id_is_charged_once(lab, client, command):
    first = client.call(*command, "IDEM", b"\0 id")
    assert first[6:] == [1, 0]
    again = client.call(*command, "IDEM", b"\0 id")
    assert again == [*first[:7], 10]
    assert client.call(*command, "IDEM", "another")[2] == 3
    refund = ("LIM.REFUND", "k", command[0].partition(".")[2], *command[2:], "COST", 1, "IDEM", b"\0 id")
    assert client.call(*refund)[6:] == [-1, 0] and client.call(*refund)[6:] == [-1, 10]
    lab.now_us += 120_000_000
    assert client.call(*command, "IDEM", b"\0 id")[6:] == [1, 0]


@pytest.mark.parametrize("key", [b"k", *ODD_KEYS], ids=["plain", "braces", "reversed", "binary", "32 KB"])
@pytest.mark.parametrize("options", [(), ("--reservations",)], ids=["", "reservations"])
def test_a_semaphore(lab, key, options):
    client = Translator(lab, *options)
    first = client.call("SEM.ACQUIRE", key, 2, 30000, "a")
    assert first == [1, 1, 2, 30000, lab.now_us, -1, 0, -1, -1, 0]
    assert client.call("SEM.ACQUIRE", key, 2, 30000, "a") == [1, 1, 2, 30000, lab.now_us, -1, 1, -1, -1, 0]
    assert client.call("SEM.ACQUIRE", key, 2, 30000, "b", "SLOTS")[5] == 0
    assert client.call("SEM.ACQUIRE", key, 2, 30000, "c") == [0, 2, 2, 0, 0, -1, 0, 30000, -1, 1]
    assert client.call("SEM.COUNT", key) == [2, 0, 0]
    assert client.call("SEM.HOLDERS", key, "COUNT", 1) == [[b"a", 30000, first[4]]]
    assert client.call("SEM.CHECK", key, "a", first[4]) == 30000 and client.call("SEM.CHECK", key, "a", 1) == 0
    assert client.call("SEM.RENEW", key, "a", 60000) == 60000
    assert client.call("SEM.RELEASE", key, "a", "x") == 1 and client.call("SEM.REVOKE", key, "*") == 1
    assert client.call("SEM.COUNT", key) == [0, 0, 0]


def test_a_fair_queue_and_leaving_it(client):
    assert client.call("SEM.ACQUIRE", "k", 1, 30000, "a", "FIFO")[0] == 1
    assert client.call("SEM.ACQUIRE", "k", 1, 30000, "b", "WAIT", 100, "FIFO")[8:] == [0, 8]
    assert client.call("SEM.ACQUIRE", "k", 1, 30000, "c", "FIFO")[8:] == [1, 8]
    assert client.call("SEM.COUNT", "k") == [1, 0, 2]
    assert client.call("SEM.ACQUIRE", "k", 1, 30000, "b", "FIFO", options=["--leave"]) == 1
    assert client.call("SEM.ACQUIRE", "k", 1, 30000, "c", "FIFO")[8:] == [0, 8]


def test_all_or_nothing(lab, client):
    command = ("LIM.MULTI", 4, "{a}g", "{a}w", "{a}s", "{a}sem", "GCRA", 9, 1, 1000, "WINDOW", 1, 1000, "COST", 1, "SLIDE",
               9, 1000, "LOG", "SEM", 2, 30000)
    assert client.call(*command, "t")[:3] == [1, -1, -1]
    before = lab.dump("{a}g", "{a}w", "{a}s", "{a}sem")
    reply = client.call(*command, "u")
    assert reply[:3] == [0, 1, 1000] and reply[3][1][7] == 1
    assert lab.dump("{a}g", "{a}w", "{a}s", "{a}sem") == before
    assert client.call(*command, "t")[3][0][7] == 10


def test_reset_leaves_nothing(lab, client):
    client.call("LIM.WINDOW", "{k}w", 5, 1000)
    client.call("SEM.ACQUIRE", "{k}s", 1, 30000, "a", "FIFO")
    client.call("SEM.ACQUIRE", "{k}s", 1, 30000, "b", "FIFO")
    assert client.call("LIM.RESET", "{k}w", "{k}s", "{k}none") == 2
    assert [key for key in lab.call("KEYS", "*") if not key.startswith(b"expires:")] == []


@pytest.mark.parametrize("resp", [2, 3])
def test_increx_replies_as_redis_does(redis_server, resp):
    greatest = 2**63 - 1
    with Lab(redis_server, virtual=False) as lab:
        client = Translator(lab)
        lab.call("HELLO", resp)
        lab.call("SET", "k", 99)
        assert client.call("INCREX", "k", "BYINT", 5, "UBOUND", 100, resp=resp) == [99, 0]
        assert client.call("INCREX", "k", "BYINT", 5, "UBOUND", 100, "SATURATE", resp=resp) == [100, 1]
        assert client.call("INCREX", "k", "EX", 100, "ENX", resp=resp) == [101, 1] and 0 < lab.call("TTL", "k") <= 100
        assert client.call("INCREX", "n", "BYINT", greatest, resp=resp) == [greatest, greatest]
        assert client.call("INCREX", "n", resp=resp) == [greatest, 0]
        replies = [client.call("INCREX", "f", "BYFLOAT", step, "UBOUND", 2, resp=resp) for step in ("1.5", "0.75")]
        assert replies == ([[1.5, 1.5], [1.5, 0.0]] if resp == 3 else [[b"1.5", b"1.5"], [b"1.5", b"0"]])
        assert client.call("INCREX", "f", "BYFLOAT", "1", "LBOUND", "inf", "UBOUND", "inf", resp=resp)[1] in (0.0, b"0")
        assert client.call("INCREX", "n", "PERSIST", "ENX", resp=resp) == "ERR syntax error"


def test_a_late_call_says_that_it_did_nothing(redis_server):
    with Lab(redis_server, virtual=False) as lab:
        late = Translator(lab, "--deadline-us", str(lab.now_server_us() - 1))
        for command in EVERY_COMMAND:
            assert late.call(*command) == "RGUNAVAIL the limiter call came after its deadline and did nothing, safe to retry"
        assert lab.call("DBSIZE") == 0


def test_a_script_that_is_not_there_says_so_and_goes_as_text(redis_server):
    with Lab(redis_server, virtual=False) as lab:
        client = Translator(lab)
        for command in EVERY_COMMAND:
            request = encode(*command)
            lab.connection.send(client.tool(request))
            assert client.tool(request + lab.connection.read_reply(), "--reply", "2", codes=(3,)) == b""
        lab.call("MULTI")
        for command in EVERY_COMMAND:
            lab.connection.send(client.tool(encode(*command), "--eval"))
            assert lab.connection.read_value() == "QUEUED"
        replies = lab.call("EXEC")
        assert len(replies) == len(EVERY_COMMAND) and replies[0] == [0, 5, 4, -1, 1]
        assert {str(reply) for reply in replies if isinstance(reply, str)} <= {FOREIGN, WRONG_TYPE, NOT_FLOAT}


def test_a_cluster_takes_every_call(start_redis):
    """A cluster refuses a script whose keys lie in several slots: each companion must lie with its key."""
    server = start_redis(config={"cluster-enabled": "yes", "cluster-port": free_port()})
    with Lab(server, virtual=False) as lab:
        lab.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: b"cluster_state:ok" in lab.call("CLUSTER", "INFO"), what="the cluster")
        client = Translator(lab, "--reservations")
        for key in [b"k", b"{}x", b"a{}{b}", b"{", b"}", b"a{b", *ODD_KEYS]:
            for command in EVERY_COMMAND:
                command = [key if argument == "k" else argument for argument in command]
                reply = client.call(*command)
                assert not is_error(reply, "CROSSSLOT "), (key, command)
            lab.forget()
        assert is_error(lab.call(*client.request("LIM.RESET", "a", "b")), "CROSSSLOT ")


def test_the_upstash_dialect_is_another_sha(client):
    plain, upstash = client.request("SEM.COUNT", "k"), client.request("SEM.COUNT", "k", options=["--upstash"])
    assert plain[1] != upstash[1] and plain[2:] == upstash[2:]
    text = client.request("SEM.COUNT", "k", options=["--upstash", "--eval"])[1].decode()
    assert text == assemble.assemble("sem_count", "upstash")
