"""Proves who is answered at the stats port: not a web page whose name leads here, and nobody who means another respgate."""

import http.client
import json
import re
import socket
import threading

import pytest

from harness import Respgate, run_respgate, wait_until
from stats_view import fetch, fetch_unix, metrics

PAGES = ("/", "/metrics", "/stats.json", "/config", "/events", "/events?follow", "/version", "/top", "/slowlog", "/nowhere")
STRANGE = ("rebound.example", "rebound.example:{port}", "localhost.rebound.example:{port}", "respgate:{port}")
OURS = ("127.0.0.1:{port}", "localhost", "LOCALHOST:{port}", "[::1]:{port}", "10.0.0.7:{port}")


@pytest.fixture
def gate(redis_server, start_respgate):
    """respgate that has chosen its only backend."""
    started = start_respgate(redis_server)
    wait_until(lambda: fetch(started, "/readyz")[0] == 200, what="it to be ready")
    return started


def ask_as(gate, host, path, **headers):
    """(status, text) for who asks by this name."""
    return fetch(gate, path, headers={"Host": host.format(port=gate.stats_port), **headers})


@pytest.mark.parametrize("host", STRANGE)
def test_no_page_is_read_by_a_strange_name(gate, host):
    for path in PAGES:
        status, text = ask_as(gate, host, path)
        assert status == 403 and "stats.hosts" in text and "default" not in text, path


@pytest.mark.parametrize("host", OURS)
def test_addresses_and_localhost_read_all(gate, host):
    for path in PAGES[:5]:
        assert ask_as(gate, host, path)[0] == 200, path


def test_probes_are_answered_by_any_name_but_tell_no_more_than_yes_or_no(gate):
    for path in ("/livez", "/startupz", "/readyz"):
        assert ask_as(gate, "rebound.example", path)[0] == 200
    assert ask_as(gate, "rebound.example", "/readyz?verbose")[1] == "ready\n"
    assert ask_as(gate, "rebound.example", "/readyz", Accept="application/json")[1] == "ready\n"
    assert "default" in ask_as(gate, "localhost", "/readyz?verbose")[1]


def test_who_sends_no_host_is_no_browser(gate):
    with socket.create_connection(("127.0.0.1", gate.stats_port), timeout=10) as raw:
        raw.sendall(b"GET /version HTTP/1.0\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.0 200")


def test_names_of_stats_hosts_are_answered_and_take_orders(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"stats.hosts": "gate.internal other", "stats.admin": "yes"})
    assert ask_as(gate, "gate.internal:{port}", "/stats.json")[0] == 200
    assert ask_as(gate, "third", "/stats.json")[0] == 403
    for host, status in (("other:{port}", 200), ("third:{port}", 403)):
        host = host.format(port=gate.stats_port)
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert fetch(gate, "/unpin", method="POST", headers=headers)[0] == status


def test_the_unix_socket_has_no_name(redis_server, start_respgate, tmp_path):
    path = tmp_path / "stats.sock"
    start_respgate(redis_server, settings={"stats.unix_socket": path})
    connection = http.client.HTTPConnection("rebound.example", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/version")
    assert connection.getresponse().status == 200
    connection.close()
    assert fetch_unix(path, "/version")[0] == 200


def test_the_page_can_be_turned_off_and_on_by_a_reload(redis_server, tmp_path):
    path = tmp_path / "respgate.ini"
    good = f"[backend a]\nurl = {redis_server.url()}\n[stats]\nadmin = yes\n"
    path.write_text(good + "page = no\n")
    gate = Respgate(tmp_path, "", env={"RESPGATE_CONFIG": str(path)}).start()
    try:
        status, text = fetch(gate, "/")
        assert status == 404 and "/metrics" in text.split() and "/" not in text.split()
        assert fetch(gate, "/stats.json")[0] == 200
        path.write_text(good)
        assert fetch(gate, "/reload", method="POST")[0] == 200
        assert fetch(gate, "/")[0] == 200 and "/" in fetch(gate, "/nowhere")[1].split()
    finally:
        gate.finish()


# ---- which respgate answers ----

def asking(gate, stats_port=None, **more):
    """The environment of a command that means this respgate."""
    return {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{gate.port}", "RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0",
            "RESPGATE_STATS_ADDRESS": f"127.0.0.1:{stats_port or gate.stats_port}", **more}


def test_commands_do_not_take_another_respgate_for_the_one_that_is_meant(redis_server, start_respgate):
    """The second one found the port of the first taken, and runs without."""
    first, second = start_respgate(redis_server), start_respgate(redis_server, settings={"stats.admin": "yes"})
    assert json.loads(run_respgate("stats", "--json", env=asking(first)).stdout)["v"] == 1
    for command in (("stats",), ("stats", "--json"), ("stats", "--prometheus"), ("top", "--once"), ("drain",), ("reload",),
                    ("unpin",), ("pin", "default")):
        done = run_respgate(*command, env=asking(second, first.stats_port))
        assert (done.returncode, done.stdout) == (3, ""), command
        assert re.search(rf"the stats port 127.0.0.1:{first.stats_port} is that of another respgate, which listens on "
                         rf"127.0.0.1:{first.port} ", done.stderr), done.stderr
    assert metrics(first)["respgate_draining"] == 0


def test_the_same_port_by_another_name_or_an_unix_socket_is_the_one_that_is_meant(redis_server, start_respgate, tmp_path):
    path = tmp_path / "gate.sock"
    gate = start_respgate(redis_server, settings={"listen.unix_socket": path})
    for env in ({"RESPGATE_LISTEN_ADDRESS": f"localhost:{gate.port}"}, {"RESPGATE_LISTEN_UNIX_SOCKET": str(path)},
                {"RESPGATE_LISTEN_ADDRESS": "127.0.0.1:2", "RESPGATE_LISTEN_UNIX_SOCKET": str(path)}):
        done = run_respgate("stats", env=asking(gate, **env))
        assert done.returncode == 0, done.stderr
    env = asking(gate)
    del env["RESPGATE_LISTEN_ADDRESS"]  # only told which port to ask: whoever is there
    assert run_respgate("stats", env=env).returncode == 0


@pytest.mark.parametrize("head, said", [("", "is no respgate"),
                                        (f"Respgate-Listens: {'a' * 600}\r\n", "is that of another respgate")],
                         ids=["another program", "an overlong answer"])
def test_what_is_no_respgate_is_said_to_be_none(gate, head, said):
    with socket.create_server(("127.0.0.1", 0)) as other:
        def serve():
            peer, _ = other.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(f"HTTP/1.0 200 OK\r\n{head}Content-Length: 2\r\n\r\nhi".encode())
        thread = threading.Thread(target=serve)
        thread.start()
        done = run_respgate("stats", env=asking(gate, other.getsockname()[1]))
        thread.join()
    assert done.returncode == 3 and said in done.stderr
