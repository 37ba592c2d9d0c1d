"""Proves the page in a real headless Chromium: what it says before, during and after a scripted failover, and how it
looks (screenshots are kept in tests/out)."""

import html
import os
import re
import subprocess

import pytest

from harness import ROOT, minimal_env, respgate_env, wait_until
from limits import rule_settings
from stats_view import fetch, stats, wait_for_metric

OUT = ROOT / "tests" / "out"
LIMITS = {"api": {"kind": "gcra", "rate": "50/1h"}, "idle": {"kind": "window", "rate": "1/1h"},
          "runs": {"kind": "semaphore", "max": "5", "lease": "1h"}, "jobs": {"kind": "semaphore", "max": "1", "lease": "1h"},
          "seen": {"kind": "zset", "match": "key:seen:*"}, "hits": {"kind": "incr", "match": "key:hits:*"}}


def browse(gate, directory, *arguments):
    """One visit of the page, three seconds of the page's time long."""
    url = f"http://127.0.0.1:{gate.stats_port}/"
    argv = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            f"--user-data-dir={directory}", "--virtual-time-budget=3000", *arguments, url]
    env = {**os.environ, "HOME": str(directory)}
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=env,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Content Security Policy" not in done.stderr, done.stderr[-2000:]
    return done.stdout


class Seen:
    """The texts of the page's elements, by id."""

    def __init__(self, dom):
        self.dom = re.sub(r"<script>.*?</script>", "", dom, flags=re.S)

    def raw(self, name):
        """What stands in the element, with its tags."""
        found = re.search(rf'<(\w+)[^>]* id="{name}"[^>]*>(.*?)</\1>', self.dom, re.S)
        assert found, f"no {name} on the page"
        return found[2]

    def limits(self):
        """{name: (its bar as [(class, width)], what is said of it)}."""
        found = {}
        for row in re.findall(r"<tr>(.*?)</tr>", self.raw("limits"), re.S)[1:]:
            name = re.search(r"<strong>(.*?)</strong>", row)[1]
            bar = re.findall(r'<div class="(\w+)" style="width: ([\d.]+)%;"></div>', row)
            found[name] = (bar, re.sub(r"<[^>]*>", "", row.split('"bar"')[1].split('"said">')[1].split("</td>")[0]))
        return found

    def strip(self):
        """Names on the bar of switches, from left to right."""
        bar = re.search(r'id="strip">(.*?)</div>\s*<div class="ends">', self.dom, re.S)[1]
        return re.findall(r"<div[^>]*>([^<]*)</div>", bar)

    def text(self, name):
        """What a reader sees of it."""
        return html.unescape(re.sub(r"<[^>]*>", " ", self.raw(name))).replace("\xa0", " ")


@pytest.fixture
def look(tmp_path):
    """look(gate) gives what the page shows now."""
    return lambda gate: Seen(browse(gate, tmp_path / "chromium", "--enable-logging=stderr", "--dump-dom"))


@pytest.fixture
def scene(start_redis, start_respgate):
    """Two backends, a client that works, one that never does, one whose name is markup."""
    first, second = start_redis(), start_redis()
    gate = start_respgate("", env={"REDIS_URL": "redis://ignored/0", "RESPGATE_HEALTH_INTERVAL": "60ms"},
                          settings={"backend.docker.url": first.url(), "backend.docker.priority": 1,
                                    "backend.hosted.url": second.url(), "backend.hosted.priority": 2,
                                    "health.interval": "50ms", "health.fast_interval": "20ms",
                                    "fallback.on_dataset_change": "continue", **rule_settings(LIMITS)})
    wait_for_metric(gate, 'respgate_backend_selected{backend="docker"}', 1)
    for name in ("web-1", "worker-7", "<b>bold</b>"):
        client = gate.connect()
        client.call("CLIENT", "SETNAME", name)
        if name == "web-1":
            for i in range(200):
                client.call("SET", "k", str(i))
                client.call("LIM.TRY", "api", "u")
            ask_of_limits(client)
    wait_until(lambda: [client for client in stats(gate)["clients"] if client["doing"] == "silent"], timeout=20,
               what="the silent ones")
    return gate, first, second


def ask_of_limits(client):
    """Three of five places of one key and one of another, a race that is observed, and counters without an end."""
    for token, subject in ("au", "bu", "cu", "dv"):
        client.call("LIM.TRY", "runs", subject, "TOKEN", token)
    client.call("LIM.TRY", "jobs", "u", "TOKEN", "t")
    assert [client.call("ZCARD", "seen:k") for _ in range(2)] == [0, 0]
    for member in "ab":
        client.call("ZADD", "seen:k", 1, member)
    client.call("INCR", "hits:a")


def test_page_shows_a_failover_as_it_happens(scene, look, tmp_path):
    gate, first, second = scene
    before = look(gate)
    assert re.match(r"On docker for [\d.]+ s", before.text("choice"))
    assert "the first usable in the order" in before.text("why") and "Ready." in before.text("why")
    assert before.text("switches") == "0 since the start"
    assert before.strip() == ["docker"]
    assert re.search(r"\u25b6 docker +up", before.text("backends"))
    limits = before.limits()
    assert list(limits) == ["api", "idle", "jobs", "runs", "seen", "hits"]
    assert limits["api"] == ([("yes", "25"), ("no", "75")], "50 admitted, 150 denied")
    assert limits["idle"] == ([], "nothing in the last minute")
    assert limits["jobs"] == ([("full", "100")], "1 held, 1 of 1 for one key, 1 admitted, 0 denied")
    assert limits["runs"] == ([("used", "60")], "4 held, 3 of 5 for one key, 4 admitted, 0 denied")
    assert limits["seen"] == ([("yes", "100"), ("no", "0")],
                              "2 admitted, 0 denied, 1 acts raced others: set mode = enforce")
    assert limits["hits"] == ([], "1 counters began, 1 counters without an end")
    assert "gcra: 50/1h, burst 50" in before.text("limits") and "zset, observe: key:seen:*" in before.text("limits")
    assert re.search(r"worker-7 +has never asked for anything", before.text("clients"))
    assert re.search(r"web-1 +idle", before.text("clients"))
    assert "2 never asked for anything" in before.text("clients-count")
    assert "<b>bold</b>" in before.text("clients") and "<b>bold" not in before.raw("clients")
    assert "health.interval" in before.text("config") and "REDIS_URL" in before.text("config")

    first.kill()
    wait_for_metric(gate, 'respgate_backend_selected{backend="hosted"}', 1)
    after = look(gate)
    assert re.match(r"On hosted for [\d.]+ s", after.text("choice"))
    assert "docker failed: " in after.text("why")
    assert after.text("switches") == "1 since the start"
    assert after.strip() == ["docker", "hosted"]
    assert "Now on hosted: the one before failed (before: docker); another data set, data does not follow" in (
        after.text("events"))
    assert re.search(r"docker +down: ", after.text("backends")) and "\u25b6 hosted" in after.text("backends")
    for width in (1280, 400):
        for theme, number in (("light", 1), ("dark", 0)):
            path = OUT / f"page-{width}-{theme}.png"
            OUT.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            browse(gate, tmp_path / "chromium", f"--window-size={width},1700",
                   f"--blink-settings=preferredColorScheme={number}", f"--screenshot={path}")
            assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 30000

    second.kill()
    wait_for_metric(gate, "respgate_ready", 0)
    none = look(gate)
    assert none.text("choice") == "No backend in use"
    assert "Not ready" in none.text("why") and "docker: " in none.text("why")
    assert 'class="bad" id="head"' in none.dom or 'id="head" class="bad"' in none.dom


def test_page_needs_nothing_from_elsewhere_and_runs_nothing_but_its_own(redis_server, start_respgate, tmp_path):
    gate = start_respgate(redis_server)
    assert Seen(browse(gate, tmp_path, "--dump-dom")).text("limits-key") == "none is configured, and none was asked for"
    status, text = fetch(gate, "/")
    assert status == 200 and len(text) < 40000
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "innerHTML" not in text and " style=" not in text


def test_gen_page_refuses_what_would_load_from_elsewhere(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<style>a{}</style><script src='https://cdn.example/x.js'></script><script>1</script>")
    done = subprocess.run(["/usr/bin/python3", ROOT / "proxy/watch/page/gen_page.py", page, tmp_path / "page.c"],
                          capture_output=True, text=True, env=respgate_env(minimal_env()), check=False)
    assert done.returncode != 0 and "from elsewhere" in done.stderr
