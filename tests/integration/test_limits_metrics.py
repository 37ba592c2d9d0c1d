"""Proves that /metrics and /stats.json count what limiter calls came to, limit by limit, and which places are held."""

import re
import signal
import socket
import struct
import subprocess
import sys

import pytest

from harness import ROOT, ErrorReply, Respgate, wait_until
from incident_app import Slots, together
from limits import COUNTING, RULES, rule_settings, take
from stats_view import fetch, metrics, stats, wait_for_metric
from test_limits_down import QUICK
from test_repair import pool_of
from test_switch import FAST

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, close_after, hold, reply  # noqa: E402 pylint: disable=wrong-import-position

REPAIRS = {"slots": {"kind": "zset", "match": "key:concurrent:*", "mode": "enforce", "max": "2"},
           "seen": {"kind": "zset", "match": "key:seen:*", "mode": "observe"},
           "hits": {"kind": "incr", "match": "key:hits:*", "mode": "observe"}}
OUTCOMES = ["admitted", "denied", "served", "failed", "queued"]
REASONS = ["limited", "cache", "cost", "closed", "queued", "local", "replayed"]


def of(gate, family, limit, shown=None, **labels):
    """One figure of a limit."""
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    return (shown or metrics(gate))[f'respgate_{family}{{limit="{limit}"{more}}}']


def outcomes(gate, limit):
    """{"admitted": 3}: what is not 0 of a limit's calls."""
    shown = metrics(gate)
    found = {name: int(of(gate, "limit_checks_total", limit, shown, outcome=name)) for name in OUTCOMES}
    return {name: n for name, n in found.items() if n}


def reasons(gate, limit):
    """{"limited": 3}: the same of its denials."""
    shown = metrics(gate)
    found = {name: int(of(gate, "limit_denials_total", limit, shown, reason=name)) for name in REASONS}
    return {name: n for name, n in found.items() if n}


def told(gate, limit):
    """What /stats.json says of a limit."""
    return next(shown for shown in stats(gate)["limits"] if shown["name"] == limit)


def wait_for(gate, family, limit, value):
    """Figures of leases and repair are published once a second."""
    wait_for_metric(gate, f'respgate_{family}{{limit="{limit}"}}', value)


def limit_series(gate):
    """All that are about limits."""
    return {name: value for name, value in metrics(gate).items() if re.match("respgate_(limit|semaphore|repair)_", name)}


def test_every_series_is_there_at_0_and_their_number_is_the_configurations(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings=rule_settings({**RULES, **REPAIRS}))
    before = limit_series(gate)
    fixed = 'respgate_semaphore_max_leases{limit="jobs"}'
    assert {value for name, value in before.items() if name != fixed} == {0} and before[fixed] == 1
    named = {limit for name in before for limit in re.findall(r'limit="([^"]*)"', name)}
    assert named == {*RULES, *REPAIRS, "(none)"}
    with gate.connect() as client:
        for name in RULES:
            take(client, name, subject="a-subject")
        client.call("LIM.GCRA", "a-key", 1, 1, 1000)
        client.call("ZCARD", "concurrent:a-key")
        client.call("NOSUCH", "a-key")
    redis_server.kill()
    assert set(limit_series(gate)) == set(before)
    done = subprocess.run(["promtool", "check", "metrics"], input=fetch(gate, "/metrics")[1], capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for path in ("/metrics", "/top", "/stats.json"):
        assert not re.search("a-subject|a-key", fetch(gate, path)[1]), path


def test_calls_are_counted_by_what_they_came_to(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings={**rule_settings(), "limit.win.deny_cache": "yes",
                                                  "limit.sld.shadow": "yes"})
    client = gate.connect()
    for _ in range(7):
        take(client, "api")
    assert take(client, "api", "COST", 9)[0] == 0
    assert outcomes(gate, "api") == {"admitted": 5, "denied": 3}
    assert reasons(gate, "api") == {"limited": 2, "cost": 1}
    for _ in range(8):
        take(client, "win")
    assert outcomes(gate, "win") == {"admitted": 5, "denied": 3} and reasons(gate, "win") == {"limited": 1, "cache": 2}
    assert of(gate, "limit_check_duration_seconds_count", "win") == 6
    for _ in range(7):
        assert take(client, "sld")[0] == 1
    assert outcomes(gate, "sld") == {"admitted": 7} and reasons(gate, "sld") == {}
    assert of(gate, "limit_shadow_denials_total", "sld") == 2
    redis_server.call("SET", "rl:log:wrong", "x")
    assert isinstance(take(client, "log", subject="wrong"), ErrorReply)
    assert outcomes(gate, "log") == {"failed": 1}
    client.call("MULTI")
    take(client, "log")
    client.call("EXEC")
    assert outcomes(gate, "log") == {"failed": 1, "queued": 1}
    client.call("LIM.RESET", "rl:api:u")
    assert outcomes(gate, "api") == {"admitted": 5, "denied": 3, "served": 1}
    client.call("LIM.GCRA", "k", 1, 1, 3600000)
    client.call("CL.THROTTLE", "t", 0, 1, 3600)
    assert client.call("CL.THROTTLE", "t", 0, 1, 3600)[0] == 1
    client.call("LIM.MULTI", 2, "a", "b", "WINDOW", 1, 60000, "SEM", 1, 60000, "t")
    client.call("INCREX", "n")
    assert outcomes(gate, "(none)") == {"admitted": 3, "denied": 1, "served": 1}
    assert abs(of(gate, "limit_last_denial_timestamp_seconds", "api") * 1000 - stats(gate)["now_ms"]) < 60000
    assert of(gate, "limit_last_denial_timestamp_seconds", "sld") == 0
    client.close()
    ended = sum(int(value) for name, value in metrics(gate).items() if name.startswith("respgate_limit_checks_total"))
    assert gate.stop() == 0
    line = next(line for line in gate.log().splitlines() if "msg=counters" in line)
    counted = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}
    assert ended == counted["limits"] and counted["limits_denied"] == 3 + 3 + 1 and counted["limits_cached"] == 2


@pytest.mark.parametrize("policy, outcome, mode, reason", [
    ("deny", "denied", "closed", {"closed": 1}), ("allow", "admitted", "open", {}), ("local", "admitted", "local", {})])
def test_decisions_without_a_backend(start_respgate, policy, outcome, mode, reason):
    gate = start_respgate("redis://127.0.0.1:1/0",
                          settings={**FAST, "fallback.when_all_down": "none",
                                    **rule_settings({name: RULES[name] for name in COUNTING}, on_backend_down=policy)})
    wait_for_metric(gate, 'respgate_backend_state{backend="default",state="down"}', 1)
    with gate.connect() as client:
        take(client, "api")
    assert outcomes(gate, "api") == {outcome: 1} and reasons(gate, "api") == reason
    assert of(gate, "limit_degraded_decisions_total", "api", mode=mode) == 1
    assert sum(value for name, value in metrics(gate).items() if "degraded" in name) == 1


def test_places_of_semaphores(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings={**rule_settings(), "limit.jobs.max": 3, "limit.jobs.lease": "60s"})
    with gate.connect() as client:
        for token in "abc":
            assert take(client, "jobs", "TOKEN", token)[0] == 1
        assert take(client, "jobs", "TOKEN", "a")[0] == 1 and take(client, "jobs", "TOKEN", "d")[0] == 0
        assert take(client, "jobs", "TOKEN", "d", subject="v")[0] == 1
        client.call("SEM.ACQUIRE", "other", 5, 60000, "t")
        wait_for(gate, "semaphore_leases", "jobs", 4)
        shown = metrics(gate)
        for family, value in (("fullest_key_leases", 3), ("leases_granted_total", 4), ("leases_resumed_total", 1),
                              ("leases_released_total", 0), ("max_leases", 3), ("waiters", 0)):
            assert of(gate, f"semaphore_{family}", "jobs", shown) == value, family
        assert of(gate, "semaphore_leases", "(none)", shown) == 1
        with gate.connect() as waiter:
            waiter.command("LIM.TRY", "jobs", "u", "TOKEN", "w", "WAIT", 60000)
            wait_for(gate, "semaphore_waiters", "jobs", 1)
            client.call("SEM.RELEASE", "rl:jobs:u", "a", "b")
            assert waiter.read_reply().startswith(b"*10\r\n:1")
        assert client.call("SEM.REVOKE", "other", "*") == 1
        wait_for(gate, "semaphore_leases", "jobs", 3)
        wait_for(gate, "semaphore_leases", "(none)", 0)
        wait_for(gate, "semaphore_waiters", "jobs", 0)
        assert of(gate, "semaphore_leases_released_total", "jobs") == 2
        assert told(gate, "jobs")["leases"] == {"granted": 5, "resumed": 1, "released": 2, "expired": 0, "held": 3,
                                                "fullest_key": 2, "waiters": 0}


def test_leases_that_run_out_are_counted_and_renewed_ones_are_not(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings={**rule_settings(), "limit.jobs.max": 3, "limit.jobs.lease": "400ms"})
    with gate.connect() as client:
        for token in "ab":
            assert take(client, "jobs", "TOKEN", token)[0] == 1
        assert client.call("SEM.RENEW", "rl:jobs:u", "a", 60000) > 50000
        wait_for(gate, "semaphore_lease_expirations_total", "jobs", 1)
        assert client.call("SEM.RENEW", "rl:jobs:u", "b", 60000) == 0
        wait_for(gate, "semaphore_leases", "jobs", 1)
        redis_server.call("FLUSHALL")
        assert client.call("SEM.RENEW", "rl:jobs:u", "a", 60000) == 0
        wait_for(gate, "semaphore_leases", "jobs", 0)
        assert of(gate, "semaphore_lease_expirations_total", "jobs") == 2
        assert of(gate, "semaphore_leases_released_total", "jobs") == 0


@pytest.mark.threads
def test_places_of_a_key_are_counted_together_whichever_worker_gave_them(start_respgate, redis_server):
    """Of twenty clients some are on each worker, and each gives back, or renews, what another was granted."""
    gate = start_respgate(redis_server, settings={**rule_settings(), "listen.workers": 2, "limit.jobs.max": 50,
                                                  "limit.jobs.lease": "60s"})
    clients = [gate.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        assert take(client, "jobs", "TOKEN", f"t{number}")[0] == 1
    wait_for(gate, "semaphore_leases", "jobs", 20)
    assert of(gate, "semaphore_fullest_key_leases", "jobs") == 20
    for number, client in enumerate(clients):
        assert client.call("SEM.RENEW", "rl:jobs:u", f"t{(number + 1) % 20}", 60000) > 0
        assert client.call("SEM.RENEW", "rl:jobs:u", f"t{(number + 3) % 20}", 60000) > 0
    wait_for(gate, "semaphore_leases", "jobs", 20)
    for number, client in enumerate(clients):
        assert client.call("SEM.RELEASE", "rl:jobs:u", f"t{(number + 7) % 20}") == 1
        client.close()
    wait_for(gate, "semaphore_leases", "jobs", 0)
    assert of(gate, "semaphore_leases_released_total", "jobs") == 20
    assert of(gate, "semaphore_lease_expirations_total", "jobs") == 0


def test_calls_that_get_no_verdict(start_respgate):
    """One comes too late, one is lost with its connection, of two the client goes away, in flight and in WAIT."""
    with FakeRedis() as fake:
        fake.on("EVAL", reply(b"-RGUNAVAIL the limiter call came after its deadline\r\n"))
        gate = start_respgate(fake.url(), settings=rule_settings())
        wait_for_metric(gate, "respgate_ready", 1)
        client = gate.connect()
        assert isinstance(take(client, "api"), ErrorReply)
        assert of(gate, "limit_late_checks_total", "api") == 1 and outcomes(gate, "api") == {"failed": 1}
        fake.on("EVAL", close_after())
        assert "RGUNKNOWN" in take(client, "win")
        assert outcomes(gate, "win") == {"failed": 1}
        fake.on("EVAL", hold(b"+late\r\n"))
        client.command("LIM.TRY", "log", "u")
        fake.wait_held()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_until(lambda: outcomes(gate, "log") == {"failed": 1}, what="the client to be missed")
        waiter = gate.connect()
        waiter.command("LIM.TRY", "jobs", "u", "TOKEN", "t", "WAIT", 60000)
        wait_for(gate, "semaphore_waiters", "jobs", 1)
        waiter.close()
        wait_until(lambda: outcomes(gate, "jobs") == {"failed": 1}, what="the waiter to be missed")
        fake.release()


# ---- repair ----

def test_what_a_limit_repairs(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings=rule_settings(REPAIRS))
    with gate.connect() as client:
        counts = [client.call("ZCARD", "concurrent:a") for _ in range(4)]
        assert counts == [0, 1, 2, 2]
        client.call("ZADD", "concurrent:a", 1, "m")
        client.call("INCR", "hits:a")
        wait_for(gate, "repair_checks_total", "slots", 4)
        wait_for(gate, "repair_endless_counters_total", "hits", 1)
        shown = metrics(gate)
        for family, value in (("refused_checks", 2), ("acts", 1), ("unused_checks", 0), ("late_acts", 0)):
            assert of(gate, f"repair_{family}_total", "slots", shown) == value, family
        assert of(gate, "repair_counters_total", "hits", shown) == 1
        assert of(gate, "limit_check_duration_seconds_count", "slots", shown) == 5
        assert of(gate, "limit_last_denial_timestamp_seconds", "slots", shown) > 0
        client.call("ZADD", "concurrent:b", 1, "m")
        wait_for(gate, "repair_unasked_acts_total", "slots", 1)
        wait_until(lambda: client.call("ZCARD", "concurrent:a") < 2, what="a place that nobody took")
        wait_for(gate, "repair_unused_checks_total", "slots", 1)


def test_an_observed_race_and_the_maximum_it_was_told_by(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings={**rule_settings(REPAIRS), "limit.seen.max": 5, "listen.workers": 1})
    assert together(pool_of(gate.port, 16), 16, 5, "seen:agent") == 16
    slots = Slots(pool_of(gate.port, 1), 5, "seen:agent")
    assert slots.acquire() is None
    wait_for(gate, "repair_overshoots_total", "seen", 1)
    wait_for(gate, "repair_acts_total", "seen", 16)
    assert of(gate, "repair_overlapping_acts_total", "seen") == 15
    clients = [gate.connect() for _ in range(25)]
    for number, client in enumerate(clients):
        for count in range(5):
            assert client.call("ZCARD", f"seen:{number}") == count
            client.call("ZADD", f"seen:{number}", 1, count)

    def is_inferred():
        for number, client in enumerate(clients):
            assert client.call("ZCARD", f"seen:{number}") == 5
        return of(gate, "repair_inferred_max", "seen") == 5

    wait_until(is_inferred, what="the maximum to be inferred")
    assert told(gate, "seen")["repair"]["inferred_max"] == 5 and told(gate, "seen")["mode"] == "observe"


def test_decisions_that_a_repaired_command_is_answered_without_a_backend(start_respgate):
    gate = start_respgate("redis://127.0.0.1:1/0", settings={**FAST, "fallback.when_all_down": "none",
                                                             **rule_settings(REPAIRS)})
    wait_for_metric(gate, 'respgate_backend_state{backend="default",state="down"}', 1)
    with gate.connect() as client:
        assert client.call("ZCARD", "concurrent:a") == 2
    assert of(gate, "limit_degraded_decisions_total", "slots", mode="closed") == 1


# ---- reloads, /stats.json ----

def test_a_reload_keeps_what_was_counted_of_limits_that_stay(redis_server, tmp_path):
    path = tmp_path / "respgate.ini"

    def write(api, *more):
        path.write_text("\n".join([f"[backend a]\nurl = {redis_server.url()}", *api, *more, ""]))

    api = ["[limit api]", "kind = gcra", "rate = 5/1h"]
    write(api, "[limit gone]", "kind = window", "rate = 1/1h", "[limit slots]", "kind = zset",
          "match = key:concurrent:*", "mode = enforce", "max = 2", "[limit jobs]", "kind = semaphore", "max = 1", "lease = 60s")
    gate = Respgate(tmp_path, "", env={"RESPGATE_CONFIG": str(path)}).start()
    try:
        with gate.connect() as client, gate.connect() as waiter, gate.connect() as other:
            for _ in range(6):
                take(client, "api")
            take(client, "gone")
            client.call("ZCARD", "concurrent:a")
            take(client, "jobs")
            waiter.command("LIM.TRY", "jobs", "u", "TOKEN", "w", "WAIT", 60000)
            other.command("SEM.ACQUIRE", "rl:jobs:u", 1, 60000, "o", "WAIT", 60000)
            wait_for(gate, "repair_checks_total", "slots", 1)
            wait_for(gate, "semaphore_waiters", "jobs", 2)
            write(["[limit api]", "kind = gcra", "rate = 9/1h"], "[limit new]", "kind = slide", "rate = 1/1h",
                  "[limit slots]", "kind = zset", "match = key:concurrent:*", "max = 2")
            gate.signal(signal.SIGHUP)
            wait_until(lambda: 'limit="new"' in fetch(gate, "/metrics")[1], what="the new limit")
            assert outcomes(gate, "api") == {"admitted": 5, "denied": 1} and outcomes(gate, "new") == {}
            wait_for(gate, "semaphore_waiters", "(none)", 1)
            wait_for(gate, "semaphore_leases", "(none)", 1)
            client.call("ZCARD", "concurrent:a")
            wait_for(gate, "repair_checks_total", "slots", 2)
            shown = metrics(gate)
            assert not [name for name in shown if 'limit="gone"' in name or 'limit="jobs"' in name]
            assert b"no limit rule is named" in waiter.read_reply()
            client.call("SEM.RELEASE", "rl:jobs:u", "t")
            assert other.read_reply().startswith(b"*10\r\n:1")
            assert outcomes(gate, "(none)") == {"admitted": 1, "served": 1, "failed": 1}
            assert take(client, "api", subject="v")[:2] == [1, 9]
            assert outcomes(gate, "api") == {"admitted": 6, "denied": 1}
    finally:
        gate.finish()


def test_stats_json_says_what_each_limit_is(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings={**rule_settings({**RULES, **REPAIRS}), "limit.api.burst": 2,
                                                  "limit.api.deny_cache": "yes", "limit.win.shadow": "yes"})
    with gate.connect() as client:
        for _ in range(4):
            take(client, "api")
        take(client, "jobs")
    assert [shown["name"] for shown in stats(gate)["limits"]] == [*sorted(RULES), *REPAIRS, "(none)"]
    shown = told(gate, "api")
    assert {key: shown[key] for key in ("kind", "mode", "terms", "count", "period_ms", "burst", "deny_cache",
                                        "on_backend_down", "prefix")} == {
        "kind": "gcra", "mode": "deny", "terms": "5/1h, burst 2", "count": 5, "period_ms": 3600000, "burst": 2,
        "deny_cache": True, "on_backend_down": "deny", "prefix": "rl:api:"}
    wait_until(lambda: told(gate, "api")["last_minute"]["seconds"] > 1, what="two seconds")
    assert {key: told(gate, "api")["last_minute"][key] for key in ("admitted", "denied")} == {"admitted": 2, "denied": 2}
    assert shown["calls"]["denied_cached"] == 1
    assert 0 <= stats(gate)["now_ms"] - shown["last_denied_ms"] < 60000 and shown["p99_us"] > 0
    assert told(gate, "win")["mode"] == "shadow" and told(gate, "win")["last_denied_ms"] == 0
    assert (told(gate, "jobs")["max"], told(gate, "jobs")["lease_ms"]) == (1, 30000)
    assert told(gate, "slots")["match"] == "concurrent:*" and told(gate, "slots")["mode"] == "enforce"
