"""CL.THROTTLE as a script: redis-cell's published vectors, a 64-bit model to the nanosecond, what breaks redis-cell."""

import random

import pytest

from limiter_scripts.cl_model import NS, Throttle
from limiter_scripts.lab import FOREIGN, START_US, Lab, is_error

RANDOM_CALLS = 12000

# Parameters, then (seconds since the first call, quantity, reply).
VECTORS = {
    "upstream unit table": [
        (4, 1, 1, 0, 6, [1, 5, 5, -1, 0]), (4, 1, 1, 0, 1, [0, 5, 4, -1, 1]), (4, 1, 1, 0, 1, [0, 5, 3, -1, 2]),
        (4, 1, 1, 0, 1, [0, 5, 2, -1, 3]), (4, 1, 1, 0, 1, [0, 5, 1, -1, 4]), (4, 1, 1, 0, 1, [0, 5, 0, -1, 5]),
        (4, 1, 1, 0, 1, [1, 5, 0, 1, 5]), (4, 1, 1, 3.0, 1, [0, 5, 2, -1, 3]), (4, 1, 1, 3.1, 1, [0, 5, 1, -1, 4]),
        (4, 1, 1, 4.0, 1, [0, 5, 1, -1, 4]), (4, 1, 1, 8.0, 1, [0, 5, 4, -1, 1]), (4, 1, 1, 9.5, 1, [0, 5, 4, -1, 1]),
        (4, 1, 1, 9.5, 0, [0, 5, 4, -1, 1]), (4, 1, 1, 9.5, 2, [0, 5, 2, -1, 3]), (4, 1, 1, 9.5, 5, [1, 5, 2, 3, 3])],
    "its README": [
        (15, 30, 60, 0, 1, [0, 16, 15, -1, 2]), (15, 30, 60, 0, 1, [0, 16, 14, -1, 4]),
        (15, 30, 60, 0, 14, [0, 16, 0, -1, 32]), (15, 30, 60, 0, 1, [1, 16, 0, 2, 32]),
        (15, 30, 60, 2.0, 1, [0, 16, 0, -1, 32]), (15, 30, 60, 2.0, 17, [1, 16, 0, -1, 32]),
        (15, 30, 60, 2.0, 16, [1, 16, 0, 32, 32])],
    "its end-to-end test": [
        (0, 1, 2, 0, 1, [0, 1, 0, -1, 2]), (0, 1, 2, 0, 1, [1, 1, 0, 2, 2]), (0, 1, 2, 2, 1, [0, 1, 0, -1, 2])],
    "ten a minute": [
        (5, 10, 60, 0, 1, [0, 6, 5, -1, 6]), (5, 10, 60, 0, 1, [0, 6, 4, -1, 12]), (5, 10, 60, 0, 3, [0, 6, 1, -1, 30]),
        (5, 10, 60, 0, 1, [0, 6, 0, -1, 36]), (5, 10, 60, 0, 1, [1, 6, 0, 6, 36])],
    "refund": [
        (4, 1, 1, 0, 5, [0, 5, 0, -1, 5]), (4, 1, 1, 0, -2, [0, 5, 2, -1, 3]), (4, 1, 1, 0, 2, [0, 5, 0, -1, 5]),
        (4, 1, 1, 0, 1, [1, 5, 0, 1, 5])],
    "other parameters on the same key": [
        (4, 1, 1, 0, 5, [0, 5, 0, -1, 5]), (1, 1, 1, 0, 1, [1, 2, 0, 4, 5]), (9, 1, 1, 0, 1, [0, 10, 4, -1, 6]),
        (4, 2, 1, 0, 1, [1, 5, 0, 4, 6])],
    "a thousand a minute": [
        (1000, 1000, 60, 0, 1, [0, 1001, 1000, -1, 1]), (1000, 1000, 60, 0, 1, [0, 1001, 999, -1, 1])],
}


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def throttle(lab, *parameters, key="k", exact=False):
    """One CL.THROTTLE."""
    return lab.run("cl_throttle", key, *Throttle(*parameters).arguments(exact))


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_vectors(lab, name):
    for burst, count, period, at, quantity, reply in VECTORS[name]:
        lab.now_us = START_US + round(at * 1000000)
        assert throttle(lab, burst, count, period, quantity) == reply, (at, quantity)


def random_parameters(rng):
    """Rates from one in years to a billion a second, intervals that divide and that do not."""
    while True:
        burst, count = int(10 ** rng.uniform(0, 6)) - 1, int(10 ** rng.uniform(0, 9))
        period = int(10 ** rng.uniform(0, rng.choice((1, 3, 8))))
        interval = int(float(period * NS) / float(count))
        if interval and interval * (burst + 1) < 7 * 10**18:
            return burst, count, period


def random_call(rng, base):
    """A call and the TAT it meets, most often within a nanosecond of where the answer changes."""
    parameters = base if rng.random() < 0.8 else random_parameters(rng)
    plain = Throttle(*parameters, 1)
    quantity = rng.choice((1, 1, 1, 2, 0, -1, rng.randint(-5, parameters[0] + 3)))
    if abs(plain.interval * quantity) > 7 * 10**18:
        quantity = 1
    cost = plain.interval * quantity
    edge = rng.choice((0, plain.tolerance - cost, plain.interval, plain.tolerance, plain.tolerance - plain.interval,
                       plain.tolerance + 1000000 - cost))
    return parameters, quantity, edge + rng.choice((-1000, -1, 0, 1, 999, 1000, rng.randrange(plain.interval)))


def random_trace(lab, rng):
    """Requests with what they must answer: (request, reply) of calls, (request, TAT, now) of the state after each.
    Every second call finds a TAT placed at an edge, to the nanosecond; the others go on from the state before."""
    for turn in range(RANDOM_CALLS):
        key = f"k{turn // 40}"
        if turn % 40 == 0:
            base, stored = random_parameters(rng), None
        parameters, quantity, ahead = random_call(rng, base)
        if turn % 2:
            stored = min(lab.now_us * 1000 + ahead, 2**63 - 1)
            yield ("SET", key, stored), "OK", None
            yield ("DEL", f"expires:{key}"), None, None
        else:
            lab.now_us += int(rng.choice((0, 1, ahead // 1000 % 10**12, 10 ** rng.uniform(0, 9))))
        exact, call, now = rng.random() < 0.2, Throttle(*parameters, quantity), lab.now_us * 1000
        reply, after = call.call(stored, now, exact)
        if reply[0] == 0 and max(stored or 0, now) + call.cost >= 9223372036 * NS:
            reply, after = "ERR value is out of range", stored
        stored = after
        yield lab.request("cl_throttle", key, call.arguments(exact)), reply, None
        yield ("GET", key), stored, now


def test_equal_to_a_model_in_64_bits_in_random_calls(lab):
    trace = list(random_trace(lab, random.Random(20261)))
    replies = lab.pipeline([request for request, _, _ in trace])
    for number, ((request, wanted, now), reply) in enumerate(zip(trace, replies)):
        where = number, trace[number - 1], request
        if request[0] == "GET":  # a TAT in the past is the same as none
            assert max(int(reply or 0), now) == max(wanted or 0, now), where
        elif request[0] != "DEL":
            assert reply == wanted, where


@pytest.mark.parametrize("count, period", [(1, 1), (3, 1), (1000, 1), (7000, 1), (3, 60), (10**9, 1)])
def test_retry_after_is_exact(lab, count, period):
    """No sooner than the second it names, and then for certain; the first whole second that admits."""
    for step in range(40):
        lab.now_us += 17 * step + 1
        burst = step % 4
        cost = step % (burst + 1) + 1
        while (reply := throttle(lab, burst, count, period, cost))[0] == 0:
            pass
        before = lab.now_us
        assert reply[3] >= 1
        lab.now_us = before + (reply[3] - 1) * 1000000
        assert reply[3] == 1 or throttle(lab, burst, count, period, cost)[0] == 1
        lab.now_us = before + reply[3] * 1000000
        assert throttle(lab, burst, count, period, cost)[0] == 0


def test_a_denial_within_a_millisecond_says_one_second_and_zero_only_as_redis_cell(lab):
    assert throttle(lab, 0, 2000, 1)[0] == 0
    assert throttle(lab, 0, 2000, 1) == [1, 1, 0, 1, 0]
    assert throttle(lab, 0, 2000, 1, exact=True) == [1, 1, 0, 0, 0]


def test_more_than_a_thousand_a_second_is_limited(redis_server):
    """redis-cell's key dies at once there. On the real clock: a burst of 200 at 5000/s cannot all pass one of 100."""
    with Lab(redis_server, virtual=False) as lab:
        request = lab.request("cl_throttle", "k", Throttle(99, 5000, 1).arguments())
        start_us = lab.now_server_us()
        replies = lab.pipeline([request] * 400)
        took_us = lab.now_server_us() - start_us
        admitted = sum(reply[0] == 0 for reply in replies)
        assert 100 <= admitted <= 100 + took_us // 200 and all(0 <= reply[2] <= 100 for reply in replies)


def test_a_peek_and_a_denial_write_nothing(lab):
    assert throttle(lab, 4, 1, 1, 0) == [0, 5, 5, -1, 0] and lab.dump("k") == [None]
    assert throttle(lab, 4, 1, 1, 5)[0] == 0
    before = lab.dump("k", "expires:k")
    assert throttle(lab, 4, 1, 1, 0) == [0, 5, 0, -1, 5]
    assert throttle(lab, 4, 1, 1, 1)[0] == 1 and throttle(lab, 4, 1, 1, 6)[3] == -1
    assert lab.dump("k", "expires:k") == before


def test_a_refund_stops_at_empty_and_removes_the_key(lab):
    assert throttle(lab, 4, 1, 1, 2)[0] == 0
    assert throttle(lab, 4, 1, 1, -7) == [0, 5, 5, -1, 0]
    assert lab.dump("k") == [None]


def test_the_key_outlives_the_tat_by_less_than_three_milliseconds(redis_server):
    with Lab(redis_server, virtual=False) as lab:
        assert throttle(lab, 9, 7, 60, 3)[0] == 0
        tat_us = int(lab.call("GET", "k")) // 1000
        assert tat_us < lab.now_server_us() + lab.call("PTTL", "k") * 1000 < tat_us + 3000


@pytest.mark.parametrize("value", ["", "x", "1.5", "12345678901234567890", " 1790000000000000000", "1e9", b"\xff"])
def test_what_is_no_tat_is_an_error_and_is_left_alone(lab, value):
    lab.call("SET", "k", value)
    before = lab.dump("k")
    assert throttle(lab, 4, 1, 1) == FOREIGN and lab.dump("k") == before


@pytest.mark.parametrize("value", ["0", "-1790000000000000000", "999999999999999999", "1000000000000000000"])
def test_a_tat_long_past_is_none(lab, value):
    lab.call("SET", "k", value)
    assert throttle(lab, 4, 1, 1) == [0, 5, 4, -1, 1]


def test_another_type_keeps_its_plain_error(lab):
    lab.call("RPUSH", "k", "v")
    assert throttle(lab, 4, 1, 1) == lab.call("GET", "k") and is_error(throttle(lab, 4, 1, 1), "WRONGTYPE ")


def test_a_tat_beyond_64_bits_is_refused(lab):
    """redis-cell would wrap; the key must stay one that it can read."""
    parameters = (8 * 10**9, 10**9, 10**9)
    lab.call("SET", "k", 9223372034500000000)
    assert throttle(lab, *parameters)[0] == 0 and lab.call("GET", "k") == b"9223372035500000000"
    assert throttle(lab, *parameters) == "ERR value is out of range" and lab.call("GET", "k") == b"9223372035500000000"
    assert throttle(lab, *parameters, -1)[0] == 0
