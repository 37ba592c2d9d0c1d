"""LIM.MULTI as a script: all limits or none, each judged as its own command would."""

import random

import pytest

from limiter_scripts.lab import FOREIGN, Lab, is_error

# kind -> its five arguments of (limit, cost, token), and the single command's script with (keys, arguments).
WINDOW_MS = 60000
KINDS = {
    "gcra": (lambda limit, cost, token: ("gcra", limit, 6000000000, 1, cost),
             lambda limit, cost, token: ("lim_gcra", ("take", limit, 6000000000, 1, cost, 0, 0))),
    "window": (lambda limit, cost, token: ("window", limit, WINDOW_MS * 1000, "epoch", cost),
               lambda limit, cost, token: ("lim_window", ("take", limit, WINDOW_MS * 1000, "epoch", cost, 0))),
    "slide": (lambda limit, cost, token: ("slide", limit, WINDOW_MS, "-", cost),
              lambda limit, cost, token: ("lim_slide", ("take", limit, WINDOW_MS, cost, 0))),
    "log": (lambda limit, cost, token: ("log", limit, WINDOW_MS * 1000, "-", cost),
            lambda limit, cost, token: ("lim_slide_log", ("take", limit, WINDOW_MS * 1000, cost, 0))),
    "sem": (lambda limit, cost, token: ("sem", limit, 20000000, token, "-"),
            lambda limit, cost, token: ("sem_acquire", (limit, 20000000, token, 1, "plain"))),
}


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def keys_of(kind, name):
    """A limit's keys."""
    return [name, f"{name}:m"] if kind == "sem" else [name]


def multi(lab, limits, prefix="k"):
    """One LIM.MULTI of (kind, limit, cost, token); the keys are named by their place."""
    keys = [key for i, limit in enumerate(limits) for key in keys_of(limit[0], f"{prefix}{i}")]
    return lab.run("lim_multi", keys, *(arg for kind, *rest in limits for arg in KINDS[kind][0](*rest)))


def single(lab, place, limit, prefix):
    """The same limit by its own command."""
    kind, *rest = limit
    script, arguments = KINDS[kind][1](*rest)
    return lab.run(script, keys_of(kind, f"{prefix}{place}"), *arguments)


def dump_all(lab):
    """Every key's value, whatever its name, as pairs. One that expires meanwhile is missing, none may be new."""
    keys = lab.call("KEYS", "*")
    return set(zip(keys, lab.dump(*keys)))


def expected_denial(replies):
    """Binding index and retry of what the limits say alone."""
    verdicts = [(reply[7], reply[9]) if len(reply) == 10 else (reply[3], reply[7]) for reply in replies]
    denials = [(retry != -2, -retry, i) for i, (retry, reason) in enumerate(verdicts) if reason]
    if not denials:
        return -1, -1
    _, retry, binding = min(denials)
    return binding, -retry


def test_random_sets_of_limits_admit_all_or_write_nothing(lab):
    """Twins: `k` is driven by LIM.MULTI; `s` by single commands, replayed only for what LIM.MULTI admitted."""
    rng, admitted, denied = random.Random(8), 0, 0
    for turn in range(60):
        lab.forget()
        kinds = [rng.choice(list(KINDS)) for _ in range(rng.randint(1, 5))]
        bounds = [rng.randint(1, 4) for _ in kinds]
        for step in range(12):
            lab.now_us += rng.choice((0, 1, 1000000, 7000000, 61000000))
            token = f"t{turn}.{step}"
            limits = [(kind, bound, rng.choice((1, 1, 1, 2, 5)), token) for kind, bound in zip(kinds, bounds)]
            before = dump_all(lab)
            reply = multi(lab, limits)
            if reply[0]:
                admitted += 1
                assert reply == [1, -1, -1, [single(lab, i, limit, "s") for i, limit in enumerate(limits)]]
                continue
            denied += 1
            assert dump_all(lab) <= before and reply[1:3] == list(expected_denial(reply[3]))
            assert all((inner[3], inner[4]) == (0, 0) if len(inner) == 10 else inner[6] == 0 for inner in reply[3])
            assert lab.run(*alone(limits, reply[1]))[0] == 0
    assert admitted > 100 and denied > 100


def alone(limits, place):
    """The binding limit by its own command, on LIM.MULTI's key: denies as well, so it writes nothing."""
    kind, *rest = limits[place]
    script, arguments = KINDS[kind][1](*rest)
    return (script, keys_of(kind, f"k{place}"), *arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_retry_after_is_exact(lab, kind):
    """A second limit that never binds rides along."""
    limits = [("gcra", 9000, 1, ""), (kind, 2, 1, "t0")]
    assert multi(lab, limits)[0] == 1
    lab.now_us += 12345
    assert multi(lab, [limits[0], (kind, 2, 1, "t1")])[0] == 1
    again = [limits[0], (kind, 2, 1, "t2")]
    denied, start = multi(lab, again), lab.now_us
    assert denied[:2] == [0, 1] and denied[2] > 1
    lab.now_us = start + (denied[2] - 1) * 1000
    assert multi(lab, again)[0] == 0
    lab.now_us = start + denied[2] * 1000
    assert multi(lab, again)[0] == 1


def test_never_beats_later_and_the_longest_wait_binds(lab):
    limits = [("window", 1, 1, ""), ("gcra", 1, 1, ""), ("gcra", 1, 2, "")]
    assert multi(lab, limits[:2])[0] == 1
    assert multi(lab, limits)[:3] == [0, 2, -2]
    denied = multi(lab, limits[:2])
    assert denied[:3] == [0, 0, denied[3][0][3]] and denied[3][0][3] > denied[3][1][3] > 0


def test_a_repeat_with_the_same_token_is_charged_once(lab):
    limits = [("gcra", 5, 1, ""), ("sem", 1, 1, "t"), ("log", 1, 1, "")]
    first = multi(lab, limits)
    rates = lab.dump("k0", "k2")
    lab.now_us += 1000000
    again = multi(lab, limits)
    assert first[0] == again[0] == 1 and lab.dump("k0", "k2") == rates
    assert [reply[7] for reply in again[3][::2]] == [10, 10] and [reply[6] for reply in again[3]] == [0, 1, 0]
    assert again[3][1][3:5] == [20000, first[3][1][4]] and lab.call("ZCARD", "k1") == 1
    assert multi(lab, [limits[0], ("sem", 1, 1, "other"), limits[2]])[0] == 0


def test_an_error_in_one_writes_nothing_in_the_others(lab):
    limits = [("gcra", 5, 1, ""), ("window", 5, 1, "")]
    lab.call("RPUSH", "k1", "v")
    assert is_error(multi(lab, limits), "WRONGTYPE ") and lab.call("EXISTS", "k0") == 0
    lab.call("SET", "k1", "x", "EX", 100)
    assert multi(lab, limits) == FOREIGN and lab.call("EXISTS", "k0") == 0


def test_reservations_of_a_semaphore_count(lab):
    lab.call("ZADD", "p", lab.now_us + 500000, "conn:1")
    call = ("lim_multi", ["g", "k", "m", "p"], "gcra", 5, 10**9, 1, 1, "sem", 1, 20000000, "t", "reserved")
    denied = lab.run(*call)
    assert denied[:3] == [0, 1, 500] and denied[3][1][:3] == [0, 1, 1] and lab.call("EXISTS", "g", "k", "m") == 0
    lab.now_us += 500000
    assert lab.run(*call)[0] == 1
