"""Many clients that check first and act later, on the scripts: never more than the limit, and nobody who was let in by
its check is refused at its act. Beside it the ways to get this wrong, so that the test is known to notice them.

REPAIR_STEPS says how many steps are taken; 100000 by default, n + p <= max being looked at after each.
"""

import os

import pytest

from limiter_scripts.held_world import World, about, run, upto
from limiter_scripts.lab import VIRTUAL_CLOCK, Lab, assemble
from limiter_scripts.repair import Repair

STEPS = int(os.environ.get("REPAIR_STEPS", "100000"))
HOLD_MS = 1000
USUAL = {"gap": about(0.05), "hold": about(1), "retry": about(0.3)}
SECONDS = 100


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def world(lab, name, rule_limit=5, hold_ms=HOLD_MS, late="reject", **more):
    return World(lab, name, rule=Repair(lab, rule_limit, hold_ms, late), **{**USUAL, **more})


def load_newest(lab):
    """repair_act, but it takes the newest reservation."""
    text = assemble.assemble("repair_act")
    right = "call('ZRANGEBYSCORE', held, string.format('%d', now_us + 1), '+inf', 'LIMIT'"
    wrong = "call('ZREVRANGEBYSCORE', held, '+inf', string.format('%d', now_us + 1), 'LIMIT'"
    assert text.count(right) == 1
    lab.shas["newest"] = lab.call("SCRIPT", "LOAD", VIRTUAL_CLOCK + text.replace(right, wrong)).decode()


def test_nobody_is_over_the_limit_and_no_promise_is_broken(lab):
    """Pauses up to the whole hold where each client has its connection or all have one; where connections are swapped,
    up to an eighth of it, which is what the hold is chosen by."""
    worlds = []
    for count, limit in ((2, 1), (8, 2), (24, 2), (24, 5), (64, 5), (64, 20)):
        for owners, longest in (("own", 0.999), ("one", 0.999), (3, 0.125), (10**6, 0.999)):
            worlds.append(world(lab, f"{count}.{limit}.{owners}", limit, count=count, limit=limit, owners=owners,
                                gap=upto(0, longest), hold=upto(0, 2), crash=0.05, seed=count))
    run(lab, worlds, lambda one: one.steps >= STEPS // len(worlds))
    assert sum(one.steps for one in worlds) >= STEPS - len(worlds)
    assert all((one.over, one.refusals) == (0, 0) and one.most <= one.limit and one.uses > 20 for one in worlds)
    assert sum(one.most == one.limit for one in worlds) > len(worlds) // 2


def test_what_goes_wrong_without_it_or_with_half_of_it(lab, figure):
    load_newest(lab)
    slow = {"count": 40, "gap": upto(0, 0.999)}
    worlds = {one.name: one for one in (
        world(lab, "repaired"),
        world(lab, "swapped", owners=6),
        world(lab, "straight", straight=True),
        world(lab, "slow", **slow),
        world(lab, "newest", **slow, act="newest", owners=10**6),
        world(lab, "slow and swapped", **slow, owners=6),
        world(lab, "short", **slow, hold_ms=500, late="record"),
        world(lab, "above", rule_limit=8),
        world(lab, "learnt", rule_limit=8, check_limit=5),
        world(lab, "below", limit=12),
        world(lab, "told", limit=12, refused=10**9),
        world(lab, "watched", monitor_hz=5, hold_ms=2000, owners=6),
        world(lab, "watched shortly", monitor_hz=5, hold_ms=250, owners=6, gap=about(0.02)),
    )}
    run(lab, list(worlds.values()), lambda one: one.now > SECONDS)
    assert all(one.over == 0 for name, one in worlds.items() if name not in ("straight", "short"))

    for name in ("repaired", "swapped", "learnt", "slow"):
        assert worlds[name].most == 5 and worlds[name].refusals == 0
    assert worlds["straight"].most > 6, "the race that all this is about"
    assert worlds["repaired"].use > 0.8 and worlds["swapped"].use > 0.8
    assert worlds["newest"].most > 5 and worlds["newest"].refusals > 5, "newest first breaks promises"
    assert worlds["slow and swapped"].refusals > 0, "who takes what another client's connection has, too, near its end"
    assert worlds["short"].most > 5, "so does a hold below the longest pause"
    assert worlds["above"].use < 0.1, "refused clients reserve for ever where the rule allows more than the client"
    assert worlds["learnt"].use > 0.8
    assert worlds["below"].most > 5, "a client that allows more than the rule takes n + p for room"
    assert worlds["told"].most == 5 and worlds["told"].refusals == 0
    assert worlds["watched"].use < 0.6 < 0.8 < worlds["watched shortly"].use, "a monitor's checks hold places"
    figure(f"places in use of 5, by 12 clients that check and act: {worlds['repaired'].use:.2f} "
           f"(swapped connections {worlds['swapped'].use:.2f}, at most {worlds['straight'].most} at once without it)")
