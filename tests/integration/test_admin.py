"""Proves orders over the stats port: who may give them, and what comes of reload, drain, pin and unpin."""

import pytest

from harness import Respgate, run_respgate, wait_until
from stats_view import events, fetch, fetch_unix, metrics, stats, wait_for_metric

VERBS = ("/reload", "/drain", "/pin?backend=first", "/unpin")


def settings(first, second, **more):
    """Two backends in their order, with quick checks."""
    return {"backend.first.url": first.url(), "backend.first.priority": 1, "backend.second.url": second.url(),
            "backend.second.priority": 2, "health.interval": "50ms", "health.fast_interval": "20ms", **more}


@pytest.fixture
def servers(start_redis):
    """Two Redis servers."""
    return start_redis(), start_redis()


@pytest.fixture
def gate(servers, start_respgate):
    """respgate that takes orders over TCP, on its first backend."""
    started = start_respgate("", settings=settings(*servers, **{"stats.admin": "yes"}))
    wait_for_metric(started, 'respgate_backend_selected{backend="first"}', 1)
    return started


def test_orders_over_tcp_need_admin(servers, start_respgate):
    gate = start_respgate("", settings=settings(*servers))
    for verb in VERBS:
        status, text = fetch(gate, verb, method="POST")
        assert status == 403 and "stats.admin" in text
    wait_for_metric(gate, 'respgate_backend_selected{backend="first"}', 1)
    assert metrics(gate)["respgate_draining"] == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_orders_are_post_only(gate, method):
    for verb in VERBS:
        assert fetch(gate, verb, method=method)[0] == 405
    assert metrics(gate)["respgate_draining"] == 0
    assert metrics(gate)["respgate_config_reloads_total"] == 0


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "evil.example:{port}"}, {"Host": ""},
                                     {"Origin": "http://evil.example"}, {"Origin": "null"},
                                     {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://127.0.0.1:1"}])
def test_orders_through_somebodys_browser_are_refused(gate, headers):
    headers = {name: value.format(port=gate.stats_port) for name, value in headers.items()}
    assert fetch(gate, "/pin?backend=second", method="POST", headers=headers)[0] == 403
    assert stats(gate)["route"]["pinned"] == ""


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://127.0.0.1:{port}"}, {"Host": "localhost:{port}"},
                                     {"Host": "[::1]:{port}", "Origin": "http://[::1]:{port}"}])
def test_orders_from_here_are_taken(gate, headers):
    headers = {name: value.format(port=gate.stats_port) for name, value in headers.items()}
    assert fetch(gate, "/reload", method="POST", headers=headers) == (200, "done\n")
    assert metrics(gate)["respgate_config_reloads_total"] == 1


def test_pin_goes_to_a_backend_and_stays_there_until_unpinned(servers, gate):
    assert fetch(gate, "/pin?backend=second", method="POST") == (200, "done\n")
    wait_for_metric(gate, 'respgate_backend_selected{backend="second"}', 1)
    assert stats(gate)["route"] | {"since_ms": 0} == {"backend": "second", "dataset": "second", "epoch": 2,
                                                      "since_ms": 0, "pinned": "second", "why": "pinned"}
    assert fetch(gate, "/reload", method="POST")[0] == 200
    assert stats(gate)["route"]["pinned"] == "second"
    servers[1].kill()
    wait_until(lambda: fetch(gate, "/readyz") == (503, "not ready: the pinned backend second is not usable\n"),
               what="not ready, though the other one is well")
    assert fetch(gate, "/unpin", method="POST")[0] == 200
    wait_for_metric(gate, 'respgate_backend_selected{backend="first"}', 1)
    assert stats(gate)["route"]["pinned"] == ""
    assert [entry["event"] for entry in events(gate) if "pinned" in entry["event"]] == ["pinned", "unpinned"]
    assert metrics(gate)['respgate_backend_selections_total{backend="second",why="pinned"}'] == 1


def test_pin_refuses_what_there_is_not(gate):
    for path in ("/pin?backend=third", "/pin", "/pin?backend=", "/pin?name=first"):
        assert fetch(gate, path, method="POST")[0] == 409
    assert stats(gate)["route"]["pinned"] == ""


def test_pin_does_not_overrule_expect(servers, start_respgate):
    gate = start_respgate("", settings=settings(*servers, **{"stats.admin": "yes"}), env={"RESPGATE_EXPECT": "first"})
    status, text = fetch(gate, "/pin?backend=second", method="POST")
    assert status == 409 and "--expect" in text


def test_reload_says_what_is_wrong(servers, tmp_path):
    path = tmp_path / "respgate.ini"
    good = f"[backend a]\nurl = {servers[0].url()}\n[stats]\nadmin = yes\n"
    path.write_text(good)
    gate = Respgate(tmp_path, "", env={"RESPGATE_CONFIG": str(path)}).start()
    try:
        path.write_text(good + "[health]\nfall = none\n")
        status, text = fetch(gate, "/reload", method="POST")
        assert status == 409 and f"{path}:6: health.fall" in text
        path.write_text(good + "[listen]\nscript_cache = 2MiB\n")
        assert "listen.script_cache: only a restart" in fetch(gate, "/reload", method="POST")[1]
        path.write_text(good.replace("yes", "no"))
        assert fetch(gate, "/reload", method="POST") == (200, "done\n")
        assert fetch(gate, "/reload", method="POST")[0] == 403
        assert metrics(gate)["respgate_config_reload_failures_total"] == 2
    finally:
        gate.finish()


def test_drain_is_answered_and_ends_it(gate):
    client = gate.connect()
    client.command("BLPOP", "none", "30")
    wait_for_metric(gate, "respgate_client_connections_blocking", 1)
    assert fetch(gate, "/drain", method="POST") == (200, "done\n")
    assert fetch(gate, "/drain", method="POST") == (409, "it is draining already\n")
    assert fetch(gate, "/readyz")[1] == "not ready: draining\n"
    client.close()
    assert gate.child.wait(10) == 0


def test_drain_of_an_idle_one_is_answered_before_it_is_gone(gate):
    assert fetch(gate, "/drain", method="POST") == (200, "done\n")
    assert gate.child.wait(10) == 0


def test_the_unix_socket_takes_orders_without_admin_and_the_subcommands_use_it(servers, start_respgate, tmp_path):
    path = tmp_path / "stats.sock"
    gate = start_respgate("", settings=settings(*servers, **{"stats.unix_socket": path}))
    env = {"RESPGATE_STATS_UNIX_SOCKET": str(path), "RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0"}
    assert fetch_unix(path, "/unpin", method="POST") == (200, "done\n")
    assert run_respgate("pin", "second", env=env).returncode == 0
    wait_for_metric(gate, 'respgate_backend_selected{backend="second"}', 1)
    assert run_respgate("unpin", env=env).returncode == 0
    assert run_respgate("reload", env=env).returncode == 0
    assert metrics(gate)["respgate_config_reloads_total"] == 1
    done = run_respgate("pin", "third", env=env)
    assert done.returncode == 1 and "there is no backend of that name" in done.stderr
    assert run_respgate("pin", env=env).returncode == 64
    assert run_respgate("drain", env=env).returncode == 0
    assert gate.child.wait(10) == 0
    assert run_respgate("drain", env=env).returncode == 1
