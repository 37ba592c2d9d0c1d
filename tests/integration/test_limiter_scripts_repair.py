"""What becomes of a client's check and act: reply by reply, type by type. What many clients at once do to them is in
test_limiter_scripts_held.py."""

import pytest

from limiter_scripts.lab import ODD_KEYS, Lab, is_error
from limiter_scripts.repair import Repair

SET_UP = {"zset": ("ZADD", "k", 1, "old"), "set": ("SADD", "k", "old"), "list": ("RPUSH", "k", "old"),
          "counter": ("SET", "k", 1)}
CHECKS = {"zset": "ZCARD", "set": "SCARD", "list": "LLEN", "counter": "GET"}
ACTS = {"zset": ("ZADD", 5, "m"), "set": ("SADD", "m"), "list": ("RPUSH", "m"), "counter": ("INCR",)}
KINDS = list(CHECKS)


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def number(reply):
    return int(reply or 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_reserves_and_its_act_takes_that(lab, kind):
    rule = Repair(lab)
    assert [number(rule.check(owner, CHECKS[kind])) for owner in "abc"] == [0, 1, 2]
    assert rule.held() == ["a:1", "b:2"]
    direct = lab.call(ACTS[kind][0], "other", *ACTS[kind][1:])
    assert rule.act("b", *ACTS[kind]) == direct and rule.held() == ["a:1"]
    assert number(rule.check("c", CHECKS[kind])) == 2 and rule.held() == ["a:1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_replies_as_the_command_does(lab, kind):
    """While nothing is reserved, in both protocols: without a key, with one, with one of another type."""
    for protocol in (2, 3):
        lab.call("HELLO", protocol)
        rule = Repair(lab)
        assert rule.check("a", CHECKS[kind], hold_ms=0) == lab.call(CHECKS[kind], "k")
        lab.call(*SET_UP[kind])
        reply, direct = rule.check("a", CHECKS[kind], hold_ms=0), lab.call(CHECKS[kind], "k")
        assert reply == direct and type(reply) is type(direct)
        lab.forget()
        lab.call("HSET", "k", "f", "v")
        assert is_error(rule.check("a", CHECKS[kind]), "WRONGTYPE ") and rule.held() == []
        assert rule.check("a", CHECKS[kind]) == lab.call(CHECKS[kind], "k")
        lab.forget()


@pytest.mark.parametrize("kind", KINDS)
def test_an_act_on_another_type_keeps_its_plain_error_and_its_place(lab, kind):
    rule = Repair(lab)
    rule.check("a", CHECKS[kind])
    lab.call("HSET", "k", "f", "v")
    assert is_error(rule.act("a", *ACTS[kind]), "WRONGTYPE ") and rule.held() == ["a:1"]
    assert rule.act("a", *ACTS[kind]) == lab.call(ACTS[kind][0], "k", *ACTS[kind][1:])


@pytest.mark.parametrize("kind, command", [
    ("zset", ("ZADD", "x", "m")), ("zset", ("ZADD", "INCR", "x", "m")), ("zset", ("ZADD", "NX", "GT", 1, "m")),
    ("zset", ("ZINCRBY", "x", "m")), ("counter", ("INCRBY", "9223372036854775807"))])
def test_a_wrong_argument_is_the_commands_own_error(lab, kind, command):
    rule = Repair(lab, late="record")
    lab.call(*SET_UP[kind])
    rule.check("a", CHECKS[kind])
    reply = rule.act("a", *command)
    assert is_error(reply, "ERR ") and rule.held() == ["a:1"]
    assert reply == lab.call(command[0], "k", *command[1:])


def test_looking_reserves_nothing_and_writes_nothing(lab):
    rule = Repair(lab)
    rule.check("a", hold_ms=1)
    rule.check("b")
    lab.now_us += 1000
    before = lab.dump("k", "k:p")
    assert rule.check("c", hold_ms=0) == 1 and lab.dump("k", "k:p") == before


def test_a_refused_check_writes_nothing_and_may_be_told_more(lab):
    rule = Repair(lab)
    for owner in "ab":
        rule.check(owner)
    before = lab.dump("k", "k:p")
    assert rule.check("c") == 2 and rule.check("c", refused=10**9) == 10**9 and lab.dump("k", "k:p") == before
    assert rule.check("c", "GET", refused=10**9) == b"1000000000"
    assert rule.check("c", refused=2, limit=1) == 2 and rule.check("c", refused=5, limit=3) == 2
    lab.forget()
    assert rule.check("c", refused=2, limit=0) == 2 and rule.check("c", "GET", refused=2, limit=0) == b"2"
    assert lab.call("KEYS", "*") == []


def test_a_reservation_ends_by_itself(lab):
    rule = Repair(lab, hold_ms=250)
    rule.check("a", hold_ms=1000)
    rule.check("b")
    lab.now_us += 249_999
    assert rule.held() == ["b:2", "a:1"] and rule.check("c") == 2
    lab.now_us += 1
    assert rule.check("c") == 1 and rule.held() == ["c:4", "a:1"]
    lab.now_us += 749_999
    assert rule.held() == ["a:1"]
    lab.now_us += 1
    assert rule.act("b", "ZADD", 1, "b") == 1 and lab.call("ZCARD", "k:p") > 0
    rule.check("d")
    assert lab.call("ZRANGE", "k:p", 0, -1) == [b"d:5"]


def test_the_companion_dies_by_itself(redis_server):
    """On the real clock; a shorter hold does not shorten a longer one's life."""
    with Lab(redis_server, virtual=False) as lab:
        rule = Repair(lab, limit=5)
        rule.check("a", hold_ms=5000)
        rule.check("b", hold_ms=250)
        assert 4900 < lab.call("PTTL", "k:p") <= 5001


def test_own_reservations_go_first_then_the_oldest(lab):
    rule = Repair(lab, limit=9)
    for owner in ("aa", "a", "b", "b", "c"):
        rule.check(owner)
        lab.now_us += 1
    rule.act("b", "ZADD", 1, "1")
    assert rule.held() == ["aa:1", "a:2", "b:4", "c:5"]
    rule.act("a", "ZADD", 1, "2")
    assert rule.held() == ["aa:1", "b:4", "c:5"]
    rule.act("x", "ZADD", 1, "3")
    assert rule.held() == ["b:4", "c:5"]
    rule.act("", "ZADD", 1, "4")
    assert rule.held() == ["b:4", "c:5"]
    rule.act("c", "ZADD", 1, "5", 1, "6")
    assert rule.held() == [] and lab.call("ZCARD", "k") == 6


def test_one_of_thousands_is_found_and_else_the_oldest(lab):
    rule = Repair(lab, limit=5000)
    requests = [rule.check_request(f"o{i}") for i in range(1500)]
    for i, request in enumerate(requests):
        lab.now_us += 1
        requests[i] = lab.request(*request)
    lab.pipeline(requests)
    rule.act("o999", "ZADD", 1, "x")
    assert len(rule.held()) == 1499 and "o999:1000" not in rule.held()
    rule.act("o1400", "ZADD", 1, "y")
    assert len(rule.held()) == 1498 and "o0:1" not in rule.held()


@pytest.mark.parametrize("command, direct", [
    (("ZADD", 1, "new"), 0), (("ZADD", "CH", 1, "new"), 0), (("ZADD", "INCR", 1, "new"), None),
    (("ZADD", "NX", "INCR", 1, "new"), None), (("ZADD", "GT", "CH", 1, "new"), 0), (("ZINCRBY", 1, "new"), b"0"),
    (("ZADD", 9, "old", 1, "new"), 0)])
def test_an_act_without_a_place(lab, command, direct):
    rule = Repair(lab, limit=1)
    lab.call("ZADD", "k", 1, "old")
    before = lab.dump("k")
    assert rule.act("a", *command) == direct and lab.dump("k") == before
    rule.late = "error"
    assert is_error(rule.act("a", *command), "LIMITED runs max=1 live=1") and lab.dump("k") == before
    rule.late = "record"
    lab.call("COPY", "k", "copy")
    assert rule.act("a", *command) == lab.call(command[0], "copy", *command[1:]) and lab.dump("k") == lab.dump("copy")


def test_an_act_without_a_place_on_the_other_types(lab):
    for kind, rejected in (("set", 0), ("list", 0), ("counter", 2)):
        lab.forget()
        rule = Repair(lab, limit=1)
        lab.call(*SET_UP[kind])
        before = lab.dump("k")
        assert rule.act("a", *ACTS[kind]) == rejected and lab.dump("k") == before
        rule.late = "error"
        assert is_error(rule.act("a", *ACTS[kind]), "LIMITED runs max=1 live=1")
        rule.late = "record"
        assert rule.act("a", *ACTS[kind]) == (1 if kind == "set" else 2)


@pytest.mark.parametrize("kind, command", [
    ("zset", ("ZADD", 7, "old")), ("zset", ("ZADD", "NX", 7, "old")), ("zset", ("ZADD", "INCR", 7, "old")),
    ("zset", ("ZADD", "GT", "CH", 7, "old", 8, "old")), ("zset", ("ZINCRBY", 7, "old")), ("set", ("SADD", "old")),
    ("set", ("SADD", "old", "old"))])
def test_who_is_there_already_needs_no_place(lab, kind, command):
    rule = Repair(lab, limit=1)
    lab.call(*SET_UP[kind])
    lab.call("ZADD", "k:p", lab.now_us + 5, "a:0")
    lab.call("COPY", "k", "copy")
    assert rule.act("a", *command) == lab.call(command[0], "copy", *command[1:])
    assert lab.dump("k") == lab.dump("copy") and rule.held() == ["a:0"]


def test_many_members_are_added_all_or_not_at_all(lab):
    rule = Repair(lab, limit=3)
    for _ in range(2):
        rule.check("a")
    lab.call("ZADD", "k", 1, "old")
    assert rule.act("b", "ZADD", 1, "x", 1, "y", 1, "z") == 0 == rule.act("", "ZADD", 1, "x", 2, "x", 1, "old")
    assert lab.call("ZCARD", "k") == 1 and len(rule.held()) == 2
    assert rule.act("b", "ZADD", 1, "x", 2, "x", 1, "old", 1, "y") == 2 and rule.held() == []
    assert lab.call("ZSCORE", "k", "x") == b"2"


def test_a_thousand_members_at_once(lab):
    rule = Repair(lab, limit=1000)
    pairs = [word for i in range(1000) for word in (i, f"m{i}")]
    assert rule.act("a", "ZADD", *pairs) == 1000 and rule.act("a", "ZADD", *pairs) == 0
    assert rule.act("a", "ZADD", 1, "more") == 0 and lab.call("ZCARD", "k") == 1000


def test_a_promise_is_kept_though_others_filled_the_key(lab):
    rule = Repair(lab, limit=2)
    rule.check("a")
    lab.call("ZADD", "k", 1, "x", 1, "y", 1, "z")
    assert rule.act("a", "ZADD", 1, "a") == 1 and rule.act("b", "ZADD", 1, "b") == 0


@pytest.mark.parametrize("key", ["k", "none"])
def test_a_push_that_needs_a_list(lab, key):
    rule = Repair(lab, limit=3)
    lab.call("RPUSH", "k", "old")
    rule.check("a", "LLEN")
    rule.keys = [key, "k:p"]
    pushed = rule.act("a", "LPUSHX", "x", "y")
    assert (pushed, len(rule.held())) == ((3, 0) if key == "k" else (0, 1))
    assert rule.act("a", "RPUSHX", "z") == 0


def test_a_counter_takes_as_many_places_as_it_rises(lab):
    rule = Repair(lab, limit=5)
    assert rule.check("a", "GET") is None and rule.check("a", "GET") == b"1"
    assert rule.act("a", "INCRBY", 3) == 3 and rule.held() == []
    assert rule.act("a", "INCRBY", 3) == 6 and lab.call("GET", "k") == b"3"
    assert rule.check("a", "GET") == b"3" and rule.check("b", "GET") == b"4" and rule.check("c", "GET") == b"5"
    for value in (b"9223372036854775807", b"-9223372036854775808", b"1000000000000000", b"007", b"-0"):
        lab.call("DEL", "k:p")
        lab.call("SET", "k", value)
        assert rule.check("a", "GET") == value
    lab.call("SET", "k", -1)
    assert rule.check("a", "GET") == b"0" and rule.check("a", "GET") == b"1"
    lab.call("SET", "k", "words")
    assert rule.check("a", "GET") == b"words" and is_error(rule.act("a", "INCR"), "ERR value is not an integer")


def test_a_check_by_score_counts_what_the_client_counts(lab):
    rule = Repair(lab, limit=2)
    lab.call("ZADD", "k", 1, "dead", 10, "live")
    assert rule.check("a", "ZCOUNT", "(5", "+inf") == 1 and rule.check("b", "ZCOUNT", "(5", "+inf") == 2
    assert rule.act("a", "ZADD", 11, "a") == 1
    assert rule.check("b", "ZCOUNT", "x", "+inf") == lab.call("ZCOUNT", "k", "x", "+inf")


def test_scores_are_doubles_in_resp3(lab):
    lab.call("HELLO", 3)
    rule = Repair(lab, limit=1, late="record")
    rule.resp = 3
    for command in (("ZADD", "INCR", 1.5, "m"), ("ZINCRBY", "1e300", "m"), ("ZADD", "NX", "INCR", 1, "m"),
                    ("ZADD", 1, "m"), ("ZADD", "INCR", "x", "m")):
        reply, direct = rule.act("a", *command), lab.call(command[0], "direct", *command[1:])
        assert reply == direct and type(reply) is type(direct)
    assert isinstance(rule.act("a", "ZINCRBY", 1, "m"), float)


def test_an_act_tells_what_it_needed_and_took(lab):
    for resp in (2, 3):
        lab.forget()
        lab.call("HELLO", resp)
        rule = Repair(lab, limit=2, late="record")
        rule.resp, rule.tell = resp, "tell"
        for _ in range(2):
            rule.check("a")
        assert rule.act("a", "ZADD", 1, "x", 2, "x") == [1, 1, 1]
        assert rule.act("a", "ZADD", 1, "y", 1, "z") == [2, 1, 2]
        assert rule.act("a", "ZADD", 9, "x") == [0, 0, 0] and rule.act("a", "ZADD", 1, "u") == [1, 0, 1]
        score = rule.act("a", "ZADD", "INCR", 1, "x")
        assert score == [0, 0, 10.0 if resp == 3 else b"10"] and type(score[2]) is (float if resp == 3 else bytes)
        rule.late = "reject"
        assert rule.act("a", "ZADD", 1, "v") == [1, 0, 0] and rule.act("a", "ZADD", "INCR", 1, "v") == [1, 0, None]
        assert rule.act("a", "ZADD", "NX", "INCR", 1, "x") == [0, 0, None]
        rule.late = "error"
        assert is_error(rule.act("a", "ZADD", 1, "v"), "LIMITED ")
        lab.call("DEL", "k", "k:p")
        assert is_error(rule.act("a", "ZADD", "x", "v"), "ERR value is not a valid float")
        assert rule.act("a", "LPUSHX", "x") == [0, 0, 0]


def test_what_an_act_leaves_without_an_end_gets_one(redis_server):
    with Lab(redis_server, virtual=False) as lab:
        rule = Repair(lab, limit=5, ttl_ms=50000)
        for kind in KINDS:
            assert number(rule.check("a", CHECKS[kind])) == 0
            assert rule.act("a", *ACTS[kind]) == 1 and 49000 < lab.call("PTTL", "k") <= 50000
            lab.call("PEXPIRE", "k", 70000)
            rule.act("a", ACTS[kind][0], *(f"{word}2" if word == "m" else word for word in ACTS[kind][1:]))
            assert lab.call("PTTL", "k") > 60000
            lab.call("DEL", "k")


def test_a_counter_never_stays_without_an_end(redis_server):
    with Lab(redis_server, virtual=False) as lab:
        for command in (("INCR",), ("INCRBY", 5), ("DECR",), ("DECRBY", 2), ("INCRBYFLOAT", "1.5")):
            for before in (None, 7):
                lab.forget()
                for key in ("k", "direct") if before else ():
                    lab.call("SET", key, before)
                reply = lab.run("repair_incr", ["k"], 60000, "", 1, *command)
                assert reply == lab.call(command[0], "direct", *command[1:]) and 59000 < lab.call("PTTL", "k") <= 60000
                lab.call("PEXPIRE", "k", 90000)
                lab.run("repair_incr", ["k"], 60000, "", 1, *command)
                assert lab.call("PTTL", "k") > 80000


def test_a_counter_above_its_cap_is_told_one_more_and_not_stored(redis_server):
    with Lab(redis_server, virtual=False) as lab:
        assert [lab.run("repair_incr", ["k"], 60000, 3, 1, "INCR") for _ in range(5)] == [1, 2, 3, 4, 4]
        assert lab.call("GET", "k") == b"3" and lab.call("PERSIST", "k") == 1
        assert lab.run("repair_incr", ["k"], 60000, 3, 2, "INCRBY", 2) == 4 and lab.call("PTTL", "k") > 0
        assert lab.run("repair_incr", ["k"], 60000, 3, 0, "DECR") == 2
        assert lab.run("repair_incr", ["new"], 60000, 3, 9, "INCRBY", 9) == 4 and lab.call("EXISTS", "new") == 0


@pytest.mark.parametrize("stored", [("SET", "k", "words"), ("HSET", "k", "f", "v"), ("SET", "k", 2**63 - 1)])
def test_a_counter_keeps_the_errors_of_its_command(lab, stored):
    lab.call(*stored)
    for cap in ("", 2**53 - 1):
        reply = lab.run("repair_incr", ["k"], 60000, cap, 1, "INCR")
        if cap and stored[2] == 2**63 - 1:
            assert reply == 2**53
        else:
            assert is_error(reply, "") and reply == lab.call("INCR", "k")


def test_semaphore_commands_and_repaired_clients_share_one_limit(lab):
    rule = Repair(lab, limit=2)
    rule.check("a")
    def acquire(token):
        return lab.run("sem_acquire", ["k", "k:m", "k:p"], 2, 10**9, token, 1, "plain")[:2]
    assert acquire("t") == [1, 2] and acquire("u") == [0, 2] and rule.check("b") == 2
    assert rule.act("a", "ZADD", lab.now_us + 10**9, "a") == 1 and acquire("u") == [0, 2]


def test_who_leaves_keeps_its_places_for_a_moment(lab):
    rule = Repair(lab, limit=4, hold_ms=1000)
    rule.check("a", hold_ms=10)
    rule.check("a")
    rule.check("ab")
    assert lab.run("repair_leave", ["k", "k:p"], "a", 50_000) == 1 and rule.held() == ["a:1", "a:2", "ab:3"]
    lab.now_us += 10_000
    assert rule.held() == ["a:2", "ab:3"]
    lab.now_us += 39_999
    assert rule.act("a", "ZADD", 1, "m") == 1 and rule.held() == ["ab:3"]
    assert lab.run("repair_leave", ["k", "k:p"], "a", 50_000) == 0
    assert lab.run("repair_leave", ["none", "k:none"], "a", 50_000) == 0 and lab.call("EXISTS", "k:none") == 0


def test_what_looks_stale_goes_but_leases_that_live(lab):
    def acquire(token, lease_ms, weight=1):
        assert lab.run("sem_acquire", ["k", "k:m", "k:p"], 9, lease_ms * 1000, token, weight, "plain")[0] == 1

    def purge(*span):
        return lab.run("repair_purge", ["k", "k:m"], "ZREMRANGEBYSCORE", *span)
    ticks = lab.now_us * 5
    for stored in (("old", ticks - 900), ("new", ticks)):
        lab.call("ZADD", "k", stored[1], stored[0])
    assert purge(0, ticks - 500) == 1 and lab.call("ZRANGE", "k", 0, -1) == [b"new"]
    lab.call("ZADD", "k", ticks - 900, "old")
    acquire("short", 10)
    acquire("long", 1000, weight=2)
    assert purge(0, ticks - 500) == 1 and purge(0, f"({ticks}") == 0
    assert lab.call("ZRANGE", "k", 0, -1) == [b"short", b"\0" b"2" b"\0long", b"long", b"new"]
    lab.now_us += 10_000
    assert purge(0, ticks - 500) == 1 and purge("-inf", "+inf") == 1 and lab.call("ZCARD", "k") == 2
    for wrong in (("x", 1), (1, "x")):
        assert purge(*wrong) == lab.call("ZREMRANGEBYSCORE", "k", *wrong)
    lab.call("DEL", "k", "k:m")
    assert purge("x", 1) == lab.call("ZREMRANGEBYSCORE", "k", "x", 1) and purge(0, 1) == 0
    lab.call("SET", "k", 1)
    assert is_error(purge(0, 1), "WRONGTYPE ")


@pytest.mark.parametrize("key", ODD_KEYS, ids=["tag", "braces", "bytes", "long"])
def test_keys_members_and_owners_of_any_bytes(lab, key):
    rule = Repair(lab, limit=1)
    rule.keys = [key, b"p" + key]
    assert rule.check("a") == 0 and rule.check("b") == 1
    assert rule.act("b", "ZADD", "140147465424316560", key) == 1 and rule.check("b") == 1
    lab.call("ZADD", "direct", "140147465424316560", key)
    assert lab.call("ZSCORE", key, key) == lab.call("ZSCORE", "direct", key)
