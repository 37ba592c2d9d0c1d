"""The incident, round after round: 24 threads of 12 processes and a limit of two. Without respgate more than two run in
nearly every round; through it never, whatever the application makes of errors, however its pools hand out connections,
and though its processes are killed between check and act, or somebody looks at the count all the time. What runs when
is what the application itself writes down.

REPAIR_ROUNDS=2000 makes it the long proof, of half an hour; without it each case is a few seconds."""

import os

import pytest

from incident_fleet import MOST, observe
from limits import rule_settings

RULES = {"runs": {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": str(MOST)}}
ROUNDS = int(os.environ.get("REPAIR_ROUNDS", "0"))
WAYS = ["plain", "swapping", "killed", "monitor"]
DIRECT, ATOMIC, REPAIRED, LEARNING = 3, 10, 12, 3
RACES_AT_LEAST = 0.9 if ROUNDS else 0.5
USED_AT_LEAST = 0.8 if ROUNDS else 0.4  # of what the script does; a few rounds are little to learn from
POLICIES = ["open", "closed"]


def in_use(seen):
    """The share of places, once the first rounds are over."""
    return seen.used(LEARNING)


@pytest.fixture(scope="module")
def atomic_use():
    """What the limiter done right makes of its places, by way: measured once."""
    return {}


@pytest.mark.figures
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", WAYS)
def test_never_more_than_two(redis_server, start_respgate, tmp_path, figure, atomic_use, way, policy):
    direct = observe(tmp_path, redis_server.port, ROUNDS // 10 or DIRECT, "racy", policy, way)
    redis_server.call("FLUSHALL")
    if way not in atomic_use:
        right = observe(tmp_path, redis_server.port, ROUNDS // 4 or ATOMIC, "atomic", policy, way)
        atomic_use[way] = in_use(right)
        assert right.most == MOST
        redis_server.call("FLUSHALL")
    gate = start_respgate(redis_server, settings=rule_settings(RULES))
    repaired = observe(tmp_path, gate.port, ROUNDS or REPAIRED, "racy", policy, way)
    share = in_use(repaired) / atomic_use[way]
    figure(f"{way}, fails {policy}: more than {MOST} ran in {len(direct.over)} of {direct.rounds} rounds direct (up to "
           f"{direct.most}), in {len(repaired.over)} of {repaired.rounds} repaired (up to {repaired.most}; "
           f"{repaired.runs} runs, {repaired.killed} killed); places in use {in_use(repaired):.3f}, with one script "
           f"{atomic_use[way]:.3f}: {share:.2f}")
    assert len(direct.over) >= RACES_AT_LEAST * direct.rounds
    assert not repaired.over and repaired.most == MOST
    assert share >= USED_AT_LEAST
    assert way != "killed" or not ROUNDS or repaired.killed >= ROUNDS // 20
