"""Memory that is not there: some allocations of each scenario fail in turn (tests/bench/allocfail fails all of them)."""

import os
import random

import pytest

import allocfail

MOST = {"start": 20, "handshake": 60, "pipeline": 12, "failover": 12}
SEED = int(os.environ.get("ALLOCFAIL_SEED", random.randrange(1 << 30)))


@pytest.mark.parametrize("name", MOST)
def test_no_memory_for_one_allocation(tmp_path, figure, name):
    """It is survived, or respgate ends and says why; never a crash, a hang, a leak, a wrong reply."""
    scenario = allocfail.SCENARIOS[name](tmp_path)
    try:
        figure(allocfail.run(scenario, MOST[name], SEED))
    finally:
        scenario.kill()


def test_the_failures_are_real(tmp_path):
    """The library does take an allocation away: the first one of a start, without which nothing can be read."""
    scenario = allocfail.Start(tmp_path)
    try:
        ends = [scenario.once(fail_at) and scenario.ended for fail_at in range(1, 200, 20)]
        assert ends[-1] > 0, "not one of these allocations was missed"
    finally:
        scenario.kill()
