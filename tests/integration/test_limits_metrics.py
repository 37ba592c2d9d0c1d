"""Proves that /metrics counts what limiter calls came to: asked, denied, denied from the cache, decided without a backend."""

import re

from harness import wait_until
from limits import COUNTING, RULES, rule_settings, take
from stats_view import metrics, wait_for_metric
from test_switch import FAST

NAMES = {"limit_checks": "limits", "limit_denials": "limits_denied", "limit_cached_denials": "limits_cached",
         "limit_degraded_decisions": "limits_down", "limit_late_checks": "limits_late"}


def test_limiter_calls_are_counted_by_what_they_came_to(redis_server, start_respgate):
    rules = rule_settings({name: RULES[name] for name in COUNTING}, deny_cache="yes", on_backend_down="allow")
    gate = start_respgate(redis_server, settings={**FAST, "fallback.when_all_down": "none", **rules})
    assert [metrics(gate)[f"respgate_{name}_total"] for name in NAMES] == [0] * 5
    client = gate.connect()
    assert take(client, COUNTING[0], "COST", 5)[0] == 1
    for _ in range(4):
        assert take(client, COUNTING[0])[0] == 0
    shown = metrics(gate)
    assert [shown[f"respgate_{name}_total"] for name in NAMES] == [5, 4, 3, 0, 0]
    redis_server.kill()
    wait_for_metric(gate, "respgate_ready", 0)
    wait_until(lambda: take(client, COUNTING[1])[0] == 1 and
               metrics(gate)["respgate_limit_degraded_decisions_total"] >= 1, what="a decision without a backend")
    client.close()
    shown = metrics(gate)
    assert gate.stop() == 0
    line = next(line for line in gate.log().splitlines() if "msg=counters" in line)
    told = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}
    assert {name: shown[f"respgate_{name}_total"] for name in NAMES} == {name: told[NAMES[name]] for name in NAMES}
