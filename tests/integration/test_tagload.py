"""Proves that tagload bites: against a right server it finds nothing, against each way of being wrong it finds that.

Without this, "0 wrong" in the integrity tests would prove nothing.
"""

import sys

import pytest

from harness import ROOT
from tagload import run_tagload

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from wrongproxy import WrongProxy  # noqa: E402

SMALL = {"clients": 8, "depth": 20, "stall_ms": 3000}


def test_nothing_is_wrong_with_redis_itself(redis_server):
    verdict = run_tagload(redis_server.port, 100_000)
    assert verdict.code == 0 and verdict.wrong == 0 and verdict.missing == 0
    assert verdict.disconnects > 50 and verdict.half_closes > 5 and verdict.pins > 500 and verdict.messages > 100


def test_nothing_is_wrong_while_redis_kills_connections(redis_server):
    verdict = run_tagload(redis_server.port, 100_000, redis_server.port, kill_interval_ms=20)
    assert verdict.code == 0 and verdict.wrong == 0 and verdict.missing == 0
    assert verdict.killed > 100 and verdict.closed_by_peer > 50


def test_nothing_is_wrong_through_a_right_proxy(redis_server):
    with WrongProxy(redis_server.port, None, 1) as proxy:
        verdict = run_tagload(proxy.port, 20_000, **SMALL)
    assert verdict.code == 0 and proxy.passed >= 20_000


@pytest.mark.parametrize("fault", ["swap", "steal", "lose", "double", "alter", "unknown"])
def test_one_wrong_reply_in_a_thousand_is_found(redis_server, fault):
    with WrongProxy(redis_server.port, fault, every=1000) as proxy:
        verdict = run_tagload(proxy.port, 20_000, **SMALL)
    assert proxy.done > 0
    assert verdict.code == 1 and verdict.wrong > 0
    assert "WRONG:" in verdict.words and "expected:" in verdict.words and "got:" in verdict.words


@pytest.mark.parametrize("fault", ["swap", "steal", "alter", "database"])
def test_faults_do_not_excuse_a_wrong_reply(redis_server, fault):
    with WrongProxy(redis_server.port, fault, every=200) as proxy:
        verdict = run_tagload(proxy.port, 20_000, redis_server.port, kill_interval_ms=500, **SMALL)
    assert proxy.done > 0
    assert verdict.code == 1 and verdict.wrong > 0


def test_a_command_in_another_database_is_found(redis_server):
    """A run ends with its first finding, and that may be what the move itself breaks (a client that was in a transaction
    or subscribed), so several runs are looked at together."""
    verdicts = []
    for _ in range(8):
        assert redis_server.call("FLUSHALL") == "OK"  # what a run that was broken off leaves is wrong for the next
        with WrongProxy(redis_server.port, "database", every=100) as proxy:
            verdicts.append(run_tagload(proxy.port, 20_000, **SMALL))
        assert proxy.done > 0
    assert all(verdict.code == 1 and verdict.wrong + verdict.missing > 0 for verdict in verdicts)
    assert any(verdict.wrong > 0 for verdict in verdicts)


def test_a_target_that_is_gone_is_not_success(redis_server):
    redis_server.kill()
    verdict = run_tagload(redis_server.port, 1000, **SMALL)
    assert verdict.code == 2 and "takes no connections" in verdict.words and verdict.seconds < 15


def test_a_half_reply_and_a_close_without_reason_are_missing_replies(redis_server):
    with WrongProxy(redis_server.port, "cut", every=1000) as proxy:
        verdict = run_tagload(proxy.port, 20_000, **SMALL)
    assert proxy.done > 0
    assert verdict.code == 1 and verdict.missing > 0 and "MISSING:" in verdict.words
