"""INCREX as a script: what Redis 8.8 answers, in all 64 bits, and what it does to the TTL."""

import random

import pytest

from limiter_scripts.lab import Lab, is_error

LEAST, GREATEST = -(2**63), 2**63 - 1
FAR_MS = 2_000_000_000_000
NOT_FLOAT = "ERR value is not a valid float"
NOT_INTEGER = "ERR value is not an integer or out of range"


@pytest.fixture
def lab(redis_server):
    """The scripts on the server's own clock: TTLs are the subject."""
    with Lab(redis_server, virtual=False) as made:
        yield made


def increx(lab, by=1, low=LEAST, high=GREATEST, policy="reject", ttl=("keep", 0), enx="always", kind="int", key="k"):
    """One INCREX; integers beyond 2^53 come as digits."""
    reply = lab.run("increx", key, kind, by, low, high, policy, *ttl, enx)
    if kind == "float" or not isinstance(reply, list):
        return reply
    assert all(abs(item) < 2**53 if isinstance(item, int) else abs(int(item)) > 9 * 10**15 for item in reply)
    return [int(item) for item in reply]


def model(current, by, low, high, policy):
    """New value and applied increment, or None for an error."""
    new = current + by
    if low <= new <= high:
        return [new, by]
    if policy == "reject":
        return [current, 0]
    new = low if new < low else high
    return [new, new - current] if LEAST <= new - current <= GREATEST else None


def near(rng):
    """Integers of all sizes, most near where something happens."""
    anywhere = rng.randint(LEAST, GREATEST)
    edge = rng.choice((0, 0, 100, 10**9, -(10**9), 10**18, 2**53, -(2**53), LEAST, GREATEST, anywhere))
    return min(max(edge + rng.randint(-3, 3), LEAST), GREATEST)


def test_equal_to_integers_in_random_calls(lab):
    rng = random.Random(88)
    for _ in range(4000):
        current, by, policy = rng.choice((None, near(rng))), near(rng), rng.choice(("reject", "saturate"))
        low, high = sorted((rng.choice((LEAST, near(rng))), rng.choice((GREATEST, near(rng)))))
        lab.call("DEL", "k")
        if current is not None:
            lab.call("SET", "k", current)
        wanted = model(current or 0, by, low, high, policy)
        reply, stored = increx(lab, by, low, high, policy), lab.call("GET", "k")
        if wanted is None:
            assert reply == "ERR applied increment would overflow" and int(stored or 0) == (current or 0)
        else:
            assert reply == wanted, (current, by, low, high, policy)
            assert int(stored or 0) == wanted[0]
            assert stored is None or lab.call("OBJECT", "ENCODING", "k") in (b"int", b"embstr")


@pytest.mark.parametrize("before, by, low, high, policy, reply", [
    (99, 5, LEAST, 100, "reject", [99, 0]), (99, 5, LEAST, 100, "saturate", [100, 1]),
    (98, 5, LEAST, 100, "saturate", [100, 2]), (50, 5, LEAST, 30, "reject", [50, 0]),
    (50, 5, LEAST, 30, "saturate", [30, -20]), (50, -25, LEAST, 30, "reject", [25, -25]),
    (-50, -5, -30, GREATEST, "saturate", [-30, 20]),
    (9223372036854775800, 9223372036854775800, LEAST, GREATEST, "saturate", [GREATEST, 7])])
def test_the_published_integer_examples(lab, before, by, low, high, policy, reply):
    lab.call("SET", "k", before)
    assert increx(lab, by, low, high, policy) == reply and int(lab.call("GET", "k")) == reply[0]


@pytest.mark.parametrize("before, by, low, high, policy, reply", [
    ("1.5", "0.25", "", "", "reject", ["1.75", "0.25"]), ("10", "100", "", "42.5", "saturate", ["42.5", "32.5"]),
    (None, "-100", "-5.5", "", "saturate", ["-5.5", "-5.5"]), ("50.5", "5.5", "", "30", "reject", ["50.5", "0"]),
    ("50.5", "5.5", "", "30", "saturate", ["30", "-20.5"]), ("50", "-25", "", "30", "reject", ["25", "-25"]),
    ("5.0", "5", "", "10", "reject", ["10", "5"]), (None, "-0.5", "", "-1.5", "reject", ["0", "0"]),
    ("0.3", "1", "", "0.4", "saturate", ["0.4", "0.1"])])
def test_the_published_float_examples(lab, before, by, low, high, policy, reply):
    if before:
        lab.call("SET", "k", before)
    got = increx(lab, by, low, high, policy, kind="float")
    assert [item.decode() for item in got][0] == reply[0] and float(got[1]) == pytest.approx(float(reply[1]))
    assert lab.call("GET", "k") == (None if before is None and reply[1] == "0" else reply[0].encode())


@pytest.mark.parametrize("kind", ["int", "float"])
@pytest.mark.parametrize("policy, high", [("reject", "1000"), ("saturate", "12")], ids=["within", "saturated"])
@pytest.mark.parametrize("before_ms, ttl, enx, after_ms", [
    (None, ("keep", 0), "always", -1), (500000, ("keep", 0), "always", 500000), (500000, ("persist", 0), "always", -1),
    (None, ("persist", 0), "always", -1), (None, ("px", 100000), "always", 100000),
    (500000, ("px", 100000), "always", 100000), (None, ("px", 100000), "enx", 100000),
    (500000, ("px", 100000), "enx", 500000), (500000, ("pxat", 1), "enx", 500000),
    (500000, ("pxat", 1), "always", None),
    (None, ("pxat", 1), "enx", None)])
def test_what_happens_to_the_ttl(lab, kind, policy, high, before_ms, ttl, enx, after_ms):
    lab.call("SET", "k", 10, *(("PX", before_ms) if before_ms else ()))
    low = LEAST if kind == "int" else ""
    assert increx(lab, 5, low, high, policy, ttl, enx, kind) is not None
    left = lab.call("PTTL", "k")
    assert left == -2 if after_ms is None else left == -1 if after_ms == -1 else after_ms - 5000 < left <= after_ms
    assert lab.call("GET", "k") == (None if after_ms is None else b"12" if policy == "saturate" else b"15")


def test_a_rejected_call_touches_neither_value_nor_ttl(lab):
    lab.call("SET", "k", 10, "PX", 500000)
    before = lab.dump("k")
    assert increx(lab, 100, LEAST, 15, ttl=("px", 1)) == [10, 0] and lab.dump("k") == before
    assert lab.call("PTTL", "k") > 400000
    assert increx(lab, 100, LEAST, 15, key="new", ttl=("px", 1)) == [0, 0] and lab.call("EXISTS", "new") == 0


def test_an_absolute_time_is_absolute(lab):
    assert increx(lab, ttl=("pxat", FAR_MS)) == [1, 1]
    assert abs(lab.call("PTTL", "k") - (FAR_MS - lab.now_server_us() // 1000)) < 1000


@pytest.mark.parametrize("value", ["", "x", "1.5", " 1", "1 ", "01", "-0", "+1", "9223372036854775808",
                                   "-9223372036854775809"])
def test_what_is_no_integer_is_the_error_of_incrby(lab, value):
    lab.call("SET", "k", value)
    assert increx(lab) == NOT_INTEGER == lab.call("INCRBY", "k", 1) and lab.call("GET", "k") == value.encode()


@pytest.mark.parametrize("value, error", [
    ("x", NOT_FLOAT), ("", NOT_FLOAT), (" 1", NOT_FLOAT), ("nan", NOT_FLOAT),
    ("inf", "ERR value cannot be Infinity"), ("-inf", "ERR value cannot be Infinity")])
def test_what_is_no_float_is_an_error(lab, value, error):
    lab.call("SET", "k", value)
    assert increx(lab, "1", "", "", kind="float") == error and lab.call("GET", "k") == value.encode()


@pytest.mark.parametrize("kind", ["int", "float"])
def test_another_type_keeps_its_plain_error(lab, kind):
    lab.call("RPUSH", "k", "v")
    assert is_error(increx(lab, kind=kind, low="", high=""), "WRONGTYPE ")
    assert increx(lab, kind=kind, low="", high="") == lab.call("INCRBY", "k", 1)
