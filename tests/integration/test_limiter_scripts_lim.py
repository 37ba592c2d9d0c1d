"""LIM.GCRA, WINDOW and SLIDE as scripts, against slow models in random calls: verdicts, what is left, times, bounds;
then what a call may never do: write when it denies, charge a repeated call twice, count for ever."""

import random

import pytest

from limiter_scripts.lab import FOREIGN, ODD_KEYS, START_US, Lab, is_error
from limiter_scripts.lim_models import Gcra, Log, Slide, Window

WALKS = 12
STEPS = 60

LIMITERS = {
    "gcra": lambda rng: Gcra(rng.randint(1, 9), rng.randint(1, 50), rng.choice((7, 1000, 60000))),
    "window from the first": lambda rng: Window(rng.randint(1, 9), rng.choice((1, 7, 1000, 60000)), "first"),
    "window of the epoch": lambda rng: Window(rng.randint(1, 9), rng.choice((1, 7, 1000, 60000)), "epoch"),
    "slide counter": lambda rng: Slide(rng.randint(1, 9), rng.choice((1, 7, 1000, 60000))),
    "slide log": lambda rng: Log(rng.randint(1, 9), rng.choice((1, 7, 1000, 60000))),
}


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def ask(lab, limiter, mode="take", cost=1, key="k"):
    """One call."""
    return lab.run(limiter.script, key, *limiter.arguments(mode, cost))


def shown(reply):
    """What a model answers of a reply."""
    return reply[0], reply[2], reply[6], reply[7]


def at(lab, start, ms):
    """Go to `ms` after `start`."""
    lab.now_us = start + ms * 1000


def check_retry(lab, limiter, reply, cost):
    """A call that waits exactly retry_after is admitted, one that waits a millisecond less is not."""
    start = lab.now_us
    if reply[3] > 1:
        at(lab, start, reply[3] - 1)
        assert ask(lab, limiter, "peek", cost)[0] == 0
    at(lab, start, reply[3])
    assert ask(lab, limiter, "peek", cost)[0] == 1


def check_times(lab, limiter, reply):
    """More is left at next_after, all is left at reset_after, and not a millisecond before either."""
    start, left = lab.now_us, reply[2]
    for ms, enough in ((reply[5], min(left + 1, limiter.limit)), (reply[4], limiter.limit)):
        if ms > 0:
            at(lab, start, ms - 1)
            assert ask(lab, limiter, "peek")[2] < enough
        at(lab, start, ms)
        assert ask(lab, limiter, "peek")[2] >= enough


@pytest.mark.parametrize("name", LIMITERS)
def test_equal_to_its_model_in_random_calls(lab, name):
    rng = random.Random(name)
    for walk in range(WALKS):
        limiter, key = LIMITERS[name](rng), f"k{walk}"
        span = limiter.e * limiter.limit // 1000 if name == "gcra" else limiter.arguments("take", 1)[2] * 1000
        modes = limiter.modes if walk % 2 else [mode for mode in limiter.modes if mode != "refund"]
        lab.now_us += 3 * span
        for _ in range(STEPS):
            lab.now_us += int(rng.choice((0, 1, 999, 1000, span * rng.random() / 8, span, span * rng.random() * 2)))
            mode, cost = rng.choice(modes), rng.choice((1, 1, 1, 2, 3, limiter.limit, limiter.limit + 1))
            before = lab.dump(key)
            wanted = limiter.step(lab.now_us, mode, cost)
            reply = ask(lab, limiter, mode, cost, key)
            assert shown(reply) == wanted, (mode, cost, reply)
            assert wanted[2] or lab.dump(key) in (before, [None])
            assert reply[3] == -1 if reply[0] else reply[3] == -2 if reply[7] == 3 else reply[3] >= 1
        assert walk % 2 or limiter.bound_holds()


@pytest.mark.parametrize("name", LIMITERS)
def test_retry_next_and_reset_are_exact(lab, name):
    rng = random.Random(name)
    for walk in range(WALKS):
        limiter = LIMITERS[name](rng)
        for _ in range(12):
            cost = rng.randint(1, limiter.limit)
            lab.now_us += rng.randrange(100000)
            reply = ask(lab, limiter, "take", cost, "k")
            if reply[0] == 0:
                check_retry(lab, limiter, reply, cost)
            elif rng.random() < 0.3:
                check_times(lab, limiter, reply)
        lab.forget()


def test_a_sliding_counter_by_the_numbers(lab):
    """10 in the window before, 4 in this one, 15 s into it: 7 + 4 are in use."""
    limiter = Slide(10, 60000)
    lab.now_us = 29_000_000 * 60_000_000
    assert ask(lab, limiter, "take", 10)[0] == 1
    at(lab, lab.now_us, 60000 + 9000)
    assert [ask(lab, limiter, "take", 1)[0] for _ in range(4)] == [1, 1, 0, 0]
    lab.call("SET", "k", f"{29_000_001 * 60_000} 4 10")
    at(lab, lab.now_us, 6000)
    assert ask(lab, limiter) == [0, 10, 0, 9001, 90001, 9001, 0, 1]


def test_a_sliding_counter_reaches_its_bound_of_twice_the_limit(lab):
    limiter = Slide(5, 60000)
    lab.now_us = 29_000_000 * 60_000_000 + 59_999_000
    assert ask(lab, limiter, "take", 5)[0] == 1
    at(lab, lab.now_us, 59_999)
    assert sum(ask(lab, limiter)[0] for _ in range(6)) == 5
    at(lab, lab.now_us, 2)
    assert ask(lab, limiter)[0] == 0


def test_a_queue_says_how_long_to_wait(lab):
    """A leaky bucket: one each 100 ms, and up to 250 ms of waiting."""
    limiter = Gcra(1, 10, 1000, delay=250 * 1000000)
    assert ask(lab, limiter) == [1, 1, 0, -1, 100, 100, 1, 0]
    assert ask(lab, limiter) == [1, 1, 0, 100, 200, 200, 1, 8]
    assert ask(lab, limiter) == [1, 1, 0, 200, 300, 300, 1, 8]
    assert ask(lab, limiter) == [0, 1, 0, 50, 300, 300, 0, 1]
    at(lab, lab.now_us, 49)
    assert ask(lab, limiter)[0] == 0
    at(lab, lab.now_us, 1)
    assert ask(lab, limiter) == [1, 1, 0, 250, 350, 350, 1, 8]


@pytest.mark.parametrize("name", LIMITERS)
def test_a_denied_call_writes_nothing(lab, name):
    limiter = LIMITERS[name](random.Random(name))
    while ask(lab, limiter)[0]:
        pass
    before = lab.dump("k", "expires:k")
    assert ask(lab, limiter)[7] == 1 and ask(lab, limiter, "take", limiter.limit + 1)[7] == 3
    assert ask(lab, limiter, "peek")[0] == 0 and lab.dump("k", "expires:k") == before


@pytest.mark.parametrize("name", LIMITERS)
def test_a_repeated_call_is_charged_once(lab, name):
    limiter = LIMITERS[name](random.Random(name))
    limiter.limit = 5
    first = lab.run(limiter.script, ["k", "id1"], *limiter.arguments("take", 2))
    before = lab.dump("k")
    again = lab.run(limiter.script, ["k", "id1"], *limiter.arguments("take", 2))
    assert first[7] == 0 and again == [*first[:7], 10] and lab.dump("k") == before
    assert lab.run(limiter.script, ["k", "id2"], *limiter.arguments("take", 4))[0] == 0
    assert lab.dump("id2") == [None]
    assert lab.run(limiter.script, ["k", "id2"], *limiter.arguments("take", 3))[7] == 0
    given = lab.run(limiter.script, ["k", "id3"], *limiter.arguments("refund", 1))
    assert given[6] == -1
    assert lab.run(limiter.script, ["k", "id3"], *limiter.arguments("refund", 1)) == [*given[:7], 10]
    at(lab, lab.now_us, 60001)
    assert lab.run(limiter.script, ["k", "id1"], *limiter.arguments("take", 2))[7] == 0


@pytest.mark.parametrize("name", LIMITERS)
def test_every_key_dies_by_itself(redis_server, name):
    """On the real clock: whatever was admitted, the key has a TTL, and not one shorter than its state matters."""
    with Lab(redis_server, virtual=False) as lab:
        limiter = LIMITERS[name](random.Random(name))
        reply = lab.run(limiter.script, ["k", "id"], *limiter.arguments("take", 1, 5000))
        ttl = lab.call("PTTL", "k")
        assert reply[4] - 100 <= ttl <= 2 * max(reply[4], 60000) + 2 and 4900 <= lab.call("PTTL", "id") <= 5000


@pytest.mark.parametrize("name", LIMITERS)
def test_a_clock_set_back_admits_nothing_extra(lab, name):
    rng = random.Random(name)
    limiter = LIMITERS[name](rng)
    while ask(lab, limiter)[0]:
        lab.now_us += 1
    for step in (1, 1000, 61_000_000):
        lab.now_us -= step
        assert ask(lab, limiter)[0] == 0
    lab.now_us = START_US + 10
    retry = ask(lab, limiter)[3]
    at(lab, lab.now_us, retry)
    assert ask(lab, limiter)[0] == 1


@pytest.mark.parametrize("name", LIMITERS)
def test_what_is_no_state_is_an_error_and_is_left_alone(lab, name):
    limiter = LIMITERS[name](random.Random(name))
    lab.call("RPUSH", "list", "v")
    wrong = ask(lab, limiter, key="list")
    assert is_error(wrong, "WRONGTYPE ") and wrong == lab.call("GET", "list")
    if name == "slide log":
        lab.call("ZADD", "k", lab.now_us, "member")
    else:
        lab.call("SET", "k", "1.5")
    before = lab.dump("k")
    assert ask(lab, limiter) == FOREIGN and lab.dump("k") == before


@pytest.mark.parametrize("name", LIMITERS)
@pytest.mark.parametrize("key", ODD_KEYS, ids=["tag", "braces", "bytes", "long"])
def test_keys_of_any_bytes(lab, name, key):
    limiter = LIMITERS[name](random.Random(name))
    while ask(lab, limiter, key=key)[0]:
        pass
    assert lab.call("EXISTS", key) == 1 and ask(lab, limiter, key=key + b"2")[0] == 1
    assert lab.run("lim_reset", [key, key + b"3", b"other"], 2) == 1 and ask(lab, limiter, key=key)[0] == 1


def test_a_longer_window_takes_over_what_a_shorter_one_counted(lab):
    """Parameters come with every call; none may leave a key that denies for longer than its window."""
    assert ask(lab, Slide(3, 1000), "take", 3)[0] == 1
    reply = ask(lab, Slide(3, 3600000))
    assert reply[0] == 0 and reply[3] <= 2 * 3600000
    lab.forget()
    assert ask(lab, Slide(3, 3600000), "take", 3)[0] == 1
    assert ask(lab, Slide(3, 1000))[3] <= 3600000


def test_long_periods_keep_their_count(lab):
    """A thousand a year needs more than 2^53 ns: units of 1000 ns."""
    e = 365 * 86400 * 1000000 // 1000
    taken = [lab.run("lim_gcra", "k", "take", 1000, e, 1000, 1, 0, 0) for _ in range(1001)]
    assert [reply[2] for reply in taken] == [*range(999, -1, -1), 0] and taken[-1][0] == 0
    retry = taken[-1][3]
    assert retry == e // 1000
    at(lab, lab.now_us, retry)
    assert lab.run("lim_gcra", "k", "take", 1000, e, 1000, 1, 0, 0)[0] == 1


def test_a_long_log_finds_the_member_to_wait_for(lab):
    """Against adding up: the first member whose leaving, with all before it, makes room for the cost."""
    rng = random.Random(4)
    for turn in range(20):
        limiter, key, entries = Log(200, 60000), f"k{turn}", []
        while sum(cost for _, cost in entries) < 195:
            cost = rng.choice((1, 1, 2, 9, 30))
            if ask(lab, limiter, "take", cost, key)[0]:
                entries.append((lab.now_us, cost))
            lab.now_us += rng.randint(1000, 9000)
        lab.now_us = entries[rng.randrange(len(entries) // 2)][0] + 60_000_000
        live = [(at_us, cost) for at_us, cost in entries if at_us > lab.now_us - 60_000_000]
        for wanted in range(1, 201):
            missing = sum(cost for _, cost in live) + wanted - 200
            if missing > 0:
                leaving = next(live[i][0] for i in range(len(live)) if sum(c for _, c in live[: i + 1]) >= missing)
                reply = ask(lab, limiter, "peek", wanted, key)
                assert reply[3] == -((lab.now_us - leaving - 60_000_000) // 1000), (wanted, reply)


def test_a_log_stays_in_order_when_the_clock_is_set_back(lab):
    """What is admitted meanwhile leaves with the newest before it, and what is left is what was never used."""
    limiter, start = Log(5, 1000), lab.now_us
    assert ask(lab, limiter, "take", 2)[2] == 3
    lab.now_us = start - 500000
    assert [ask(lab, limiter)[2] for _ in range(2)] == [2, 1]
    lab.now_us = start + 999999
    assert ask(lab, limiter, "peek")[2] == 1
    lab.now_us = start + 1000000
    assert ask(lab, limiter, "peek")[2] == 5
