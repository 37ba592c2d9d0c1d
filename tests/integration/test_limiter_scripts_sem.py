"""SEM.* as scripts: one holder a token, never more than max, exact times, fences that only rise, weights, slots and the
queue. What many workers at once do to it is in test_limiter_scripts_workers.py."""

import random

import pytest

from limiter_scripts.lab import ODD_KEYS, Lab, is_error

KEYS = ["k", "k:m"]
QUEUE = ["k:q", "k:d"]
LEASE = 1000
PATIENCE_US = 300000


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def acquire(lab, token, limit=2, lease=LEASE, weight=1, mode="plain", keys=None):
    """One SEM.ACQUIRE."""
    return lab.run("sem_acquire", keys or KEYS, limit, lease * 1000, token, weight, mode)


def queue(lab, token, limit=1, lease=LEASE, weight=1, mode="plain"):
    """One SEM.ACQUIRE ... FIFO."""
    return lab.run("sem_acquire_fifo", [*KEYS, *QUEUE], limit, lease * 1000, token, weight, mode, PATIENCE_US)


def release(lab, *tokens):
    return lab.run("sem_release", KEYS, *tokens)


def renew(lab, token, lease, *fence):
    return lab.run("sem_renew", KEYS, token, lease * 1000, *fence)


def check(lab, token, *fence):
    return lab.run("sem_check", KEYS, token, *fence)


def count(lab):
    return lab.run("sem_count", ["k", "k:p", "k:d"])


def test_grants_to_max_and_says_when_to_come_back(lab):
    first, second = acquire(lab, "a"), acquire(lab, "b")
    assert first == [1, 1, 2, LEASE, lab.now_us, -1, 0, -1, -1, 0]
    assert second == [1, 2, 2, LEASE, lab.now_us + 1, -1, 0, -1, -1, 0]
    assert acquire(lab, "c") == [0, 2, 2, 0, 0, -1, 0, LEASE, -1, 1]
    assert acquire(lab, "c", weight=3) == [0, 2, 2, 0, 0, -1, 0, -2, -1, 3]
    assert count(lab) == [2, 0, 0]


def test_a_repeated_acquire_is_the_same_lease(lab):
    fence = acquire(lab, "a")[4]
    lab.now_us += 400000
    assert acquire(lab, "a") == [1, 1, 2, LEASE, fence, -1, 1, -1, -1, 0]
    assert acquire(lab, "a", lease=10) == [1, 1, 2, LEASE, fence, -1, 1, -1, -1, 0]
    assert release(lab, "a") == 1 and release(lab, "a") == 0 and count(lab) == [0, 0, 0]
    assert acquire(lab, "a")[4] > fence


def test_a_lost_lease_stays_lost(lab):
    fence = acquire(lab, "a")[4]
    lab.now_us += LEASE * 1000 - 1
    assert check(lab, "a") == 1 and check(lab, "a", fence) == 1 and check(lab, "a", fence + 1) == 0
    lab.now_us += 1
    assert check(lab, "a") == 0 == renew(lab, "a", LEASE) and release(lab, "a") == 0
    again = acquire(lab, "a")
    assert again[6] == 0 and again[4] > fence and renew(lab, "a", LEASE, fence) == 0
    assert renew(lab, "a", 2 * LEASE, again[4]) == 2 * LEASE


def test_renew_extends_and_never_shortens(lab):
    acquire(lab, "a")
    assert renew(lab, "a", 10) == LEASE and renew(lab, "a", 5000) == 5000
    assert renew(lab, "b", LEASE) == 0 and count(lab) == [1, 0, 0]
    lab.now_us += 4_999_999
    assert check(lab, "a") == 1


@pytest.mark.parametrize("seed", range(3))
def test_retry_after_is_exact_when_nobody_moves(lab, seed):
    """The k-th lease to end makes room: waiting for it admits, one millisecond less does not."""
    rng = random.Random(seed)
    for turn in range(15):
        limit, keys, tokens = rng.randint(1, 6), [f"k{turn}", f"m{turn}"], 0
        while acquire(lab, f"t{tokens}", limit, rng.randint(1, 3000), rng.randint(1, limit), keys=keys)[0]:
            tokens += 1
            lab.now_us += rng.randint(0, 999)
        limit, weight = rng.randint(1, limit), 1
        denied = acquire(lab, "new", limit, weight=weight, keys=keys)
        if denied[0]:
            continue
        start = lab.now_us
        lab.now_us = start + (denied[7] - 1) * 1000
        assert acquire(lab, "new", limit, weight=weight, keys=keys)[0] == 0
        lab.now_us = start + denied[7] * 1000
        assert acquire(lab, "new", limit, weight=weight, keys=keys)[0] == 1


def test_equal_to_a_dictionary_in_random_calls(lab):
    """Against token -> (end, weight, fence): every reply, never over max, fences rise, also when leases run out."""
    rng, held, fences, limit = random.Random(5), {}, [0], 4
    for _ in range(3000):
        lab.now_us += int(rng.choice((0, 1, 1000, 40000, 10 ** rng.uniform(0, 6))))
        held = {token: lease for token, lease in held.items() if lease[0] > lab.now_us}
        token, weight, lease = f"t{rng.randrange(9)}", rng.choice((1, 1, 1, 2, 3)), rng.choice((50, 400, 1000))
        live, end = sum(lease[1] for lease in held.values()), lab.now_us + lease * 1000
        action = rng.choice(("acquire", "acquire", "acquire", "release", "renew", "check", "limit", "holders"))
        if action == "acquire":
            reply = acquire(lab, token, limit, lease, weight)
            if token in held:
                end = max(end, held[token][0])
                assert reply == [1, live, limit, -((lab.now_us - end) // 1000), held[token][2], -1, 1, -1, -1, 0]
                held[token] = (end, *held[token][1:])
            elif live + weight <= limit:
                assert reply[:4] == [1, live + weight, limit, lease] and reply[4] > max(fences)
                held[token] = (end, weight, reply[4])
                fences.append(reply[4])
            else:
                assert reply[:2] == [0, live] and reply[9] == (3 if weight > limit else 1)
        elif action == "release":
            assert release(lab, token) == int(held.pop(token, None) is not None)
        elif action == "renew" and token in held:
            end = max(end, held[token][0])
            assert renew(lab, token, lease) == -((lab.now_us - end) // 1000)
            held[token] = (end, *held[token][1:])
        elif action == "check":
            assert (check(lab, token) > 0) == (token in held)
        elif action == "limit":
            limit = rng.randint(2, 5)
        elif action == "holders":
            found = lab.run("sem_holders", KEYS, 100)
            assert sorted(found) == sorted([name.encode(), -((lab.now_us - at) // 1000), fence]
                                           for name, (at, _, fence) in held.items())
        assert count(lab) == [sum(lease[1] for lease in held.values()), 0, 0]
    assert lab.call("HLEN", "k:m") <= 2 * 9 * 3 + 66 and lab.call("ZCARD", "k") < 40


def test_lowering_max_evicts_nobody(lab):
    for token in "abc":
        assert acquire(lab, token, 3)[0] == 1
    assert acquire(lab, "d", 1)[:3] == [0, 3, 1] and acquire(lab, "a", 1)[6] == 1 and count(lab)[0] == 3
    assert release(lab, "a", "b", "x") == 2
    assert acquire(lab, "d", 1)[0] == 0 and release(lab, "c") == 1 and acquire(lab, "d", 1)[0] == 1


def test_fences_rise_through_a_lost_backend_and_a_clock_set_back(lab):
    fence = acquire(lab, "a")[4]
    lab.now_us += 5
    lab.forget()
    assert acquire(lab, "a")[4] > fence
    lab.now_us -= 1000000
    assert acquire(lab, "b")[4] > acquire(lab, "a")[4] and check(lab, "a") == LEASE + 1000
    lab.run("sem_clear", KEYS)
    assert acquire(lab, "c")[4] > fence + 1


def test_reservations_count_as_live(lab):
    lab.call("ZADD", "k:p", lab.now_us + 500000, "conn:1", lab.now_us, "conn:0")
    assert acquire(lab, "a", keys=[*KEYS, "k:p"])[:2] == [1, 2]
    assert acquire(lab, "b", keys=[*KEYS, "k:p"])[:2] == [0, 2] and count(lab) == [1, 1, 0]
    lab.now_us += 500000
    assert acquire(lab, "b", keys=[*KEYS, "k:p"])[:2] == [1, 2]


def test_slots_are_the_lowest_free_and_their_fences_rise(lab):
    rng, highest, held = random.Random(3), {}, {}
    for turn in range(300):
        lab.now_us += rng.choice((0, 1, 90000))
        held = {token: slot for token, slot in held.items() if check(lab, token)}
        token = f"t{turn % 7}"
        reply = acquire(lab, token, 3, rng.choice((200, 900)), mode="slots")
        if reply[6]:
            assert reply[5] == held[token]
        elif reply[0]:
            assert reply[5] == min({0, 1, 2} - set(held.values())) and reply[4] > highest.get(reply[5], 0)
            held[token] = reply[5]
            highest[reply[5]] = reply[4]
        if rng.random() < 0.4:
            gone = f"t{rng.randrange(7)}"
            assert release(lab, gone) == int(held.pop(gone, None) is not None)


def test_the_queue_is_first_come_first_served(lab):
    assert queue(lab, "a")[0] == 1
    queued = [queue(lab, token, 1) for token in "bcd"]
    assert [reply[8:] for reply in queued] == [[0, 8], [1, 8], [2, 8]] and count(lab) == [1, 0, 3]
    release(lab, "a")
    assert [queue(lab, token, 1)[0] for token in "dcb"] == [0, 0, 1]
    release(lab, "b")
    assert queue(lab, "e", 1)[8:] == [2, 8] and queue(lab, "c", 1)[0] == 1


def test_a_waiter_that_stops_asking_loses_its_ticket(lab):
    queue(lab, "a", 1, 10000)
    assert [queue(lab, token, 1)[8] for token in "bc"] == [0, 1]
    lab.now_us += PATIENCE_US - 1
    assert queue(lab, "c", 1)[8] == 1
    lab.now_us += 1
    assert queue(lab, "c", 1)[8] == 0 and queue(lab, "b", 1)[8] == 1
    assert lab.run("sem_leave", QUEUE, "c", 1) == 1 and lab.run("sem_leave", QUEUE, "c", 1) == 0
    assert queue(lab, "b", 1)[8] == 0


def test_the_queue_gives_slots_too_and_knows_reservations(lab):
    assert [queue(lab, token, 2, mode="slots")[5] for token in "abc"] == [0, 1, -1]
    lab.call("ZADD", "k:p", lab.now_us + 10**6, "conn:1")
    release(lab, "a", "b")
    keys = [*KEYS, *QUEUE, "k:p"]
    replies = [lab.run("sem_acquire_fifo", keys, 2, LEASE * 1000, token, 1, "slots", PATIENCE_US) for token in "cd"]
    assert [reply[:2] for reply in replies] == [[1, 2], [0, 2]] and replies[0][5] == 0 and replies[1][8:] == [0, 8]


def test_a_heavy_waiter_is_not_overtaken(lab):
    queue(lab, "a", 3, 10000)
    assert queue(lab, "heavy", 3, weight=3)[8:] == [0, 8]
    assert queue(lab, "light", 3)[8:] == [3, 8]
    release(lab, "a")
    assert queue(lab, "light", 3)[0] == 0
    assert queue(lab, "heavy", 3, weight=3)[:2] == [1, 3]
    assert queue(lab, "light", 3)[8:] == [0, 8] and count(lab) == [3, 0, 1]


def test_revoking_all_frees_all(lab):
    for token in "ab":
        acquire(lab, token, 5, weight=2)
    assert lab.run("sem_clear", KEYS) == 4 and count(lab) == [0, 0, 0] and lab.run("sem_holders", KEYS, 9) == []
    assert check(lab, "a") == 0 and acquire(lab, "a", 5)[6] == 0


def test_who_releases_by_hand_frees_the_slot_and_leaves_no_litter(lab):
    """An application that removes its token with ZREM: its entry in M is swept once such entries are most of it."""
    for turn in range(400):
        assert acquire(lab, f"t{turn}", 1)[0] == 1
        assert lab.call("ZREM", "k", f"t{turn}") == 1
        lab.now_us += 100000
    assert lab.call("HLEN", "k:m") < 100


@pytest.mark.parametrize("script, args", [
    ("sem_acquire", (1, 1000, "t", 1, "plain")),
    ("sem_renew", ("t", 1000)), ("sem_release", ("t",)), ("sem_clear", ()),
    ("sem_check", ("t",)), ("sem_count", ()), ("sem_holders", (5,))])
def test_another_type_keeps_its_plain_error(lab, script, args):
    lab.call("SET", "k", "v")
    keys = ["k", "k:p", "k:d"] if script == "sem_count" else KEYS
    assert is_error(lab.run(script, keys, *args), "WRONGTYPE ")
    assert lab.run(script, keys, *args) == lab.call("ZCARD", "k")


def test_every_key_dies_by_itself(redis_server):
    """On the real clock: no key without a TTL, none that ends before the lease, through empty, full and renewed."""
    with Lab(redis_server, virtual=False) as lab:
        for lease in (1000, 500, 30000):
            assert queue(lab, "a", 1, lease)[0] == 1
            assert queue(lab, "b", 1, lease)[9] == 8
            assert renew(lab, "a", lease + 100) > lease
            assert all(lab.call("PTTL", key) > lease for key in KEYS)
            assert all(290 < lab.call("PTTL", key) <= 302 for key in ("k:q", "k:d"))
            release(lab, "a")
            lab.run("sem_leave", ["k:q", "k:d"], "b", 1)
        assert lab.call("KEYS", "*") == [b"k:m"] and 0 < lab.call("PTTL", "k:m") < 120000


@pytest.mark.parametrize("key", ODD_KEYS, ids=["tag", "braces", "bytes", "long"])
def test_keys_and_tokens_of_any_bytes(lab, key):
    keys, token = [key, b"m" + key], b"t" + key
    assert acquire(lab, token, 1, keys=keys)[0] == 1 and acquire(lab, "other", 1, keys=keys)[0] == 0
    assert lab.run("sem_holders", keys, 5) == [[token, LEASE, lab.now_us]]
