"""Names of backends: which sources are asked, when again, and what a failing name server may do (nothing).

respgate runs in a mount namespace in which /etc/resolv.conf names the test's own server and /etc/hosts is the test's.
"""

import socket
import sys

import pytest

from harness import ROOT, respgate_binary, wait_until
from stats_view import metrics
from test_check import check, env_of
from test_switch import FAST

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakedns import A, SERVER_FAILED, Answer, FakeDns  # noqa: E402


class Names:
    """What respgate sees of name resolution."""

    def __init__(self, dns, directory):
        self.dns = dns
        self.hosts = directory / "hosts"
        self.resolv = directory / "resolv.conf"
        self.hosts.write_text("127.0.0.1 localhost listed.test\n")
        self.resolv.write_text(f"nameserver {dns.address}\n")

    def has_a(self, name, *addresses, ttl=60):
        """A name with A records only."""
        self.dns.zone[name] = lambda kind, _n: Answer(ttl, addresses if kind == A else [])


@pytest.fixture
def names(tmp_path, monkeypatch):
    """A name server, and every respgate of the test in a namespace that uses it."""
    with FakeDns() as dns:
        made = Names(dns, tmp_path)
        wrapper = tmp_path / "respgate-with-names"
        wrapper.write_text(f"""#!/bin/sh
exec unshare -m sh -c 'mount --bind {made.hosts} /etc/hosts && mount --bind {made.resolv} /etc/resolv.conf &&
exec {respgate_binary()} "$@"' sh "$@"
""")
        wrapper.chmod(0o755)
        monkeypatch.setenv("RESPGATE_BIN", str(wrapper))
        yield made


def check_name(name, server):
    """What `check --connect` says of this Redis under that name."""
    _, found = check(env_of(a=f"redis://{name}:{server.port}/0"), "--json")
    return found["a"]


@pytest.fixture
def silent_address():
    """silent_address(port): an address on which connecting is never answered, because its backlog is full."""
    opened = []

    def make(port):
        listener = socket.socket()
        opened.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.2", port))
        listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            opened.append(filler)
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))
        return "127.0.0.2"

    yield make
    for one in opened:
        one.close()


def test_an_address_that_never_answers_leaves_time_for_the_next(names, redis_server, silent_address):
    names.has_a("two.test", silent_address(redis_server.port), "127.0.0.1")
    found = check_name("two.test", redis_server)
    assert found["ok"], found


def test_questions_for_aaaa_that_are_dropped_cost_little(names, redis_server):
    names.dns.zone["half.test"] = lambda kind, _n: Answer(60, ["127.0.0.1"]) if kind == A else None
    found = check_name("half.test", redis_server)
    assert found["ok"] and found["ms"]["dns"] < 1000, found


def test_what_the_hosts_file_says_is_asked_of_nobody(names, redis_server):
    assert check_name("listed.test", redis_server)["ok"]
    assert not names.dns.questions


def test_a_hosts_file_that_was_edited_is_read_again(names, redis_server, start_respgate):
    gate = start_respgate(f"redis://edited.test:{redis_server.port}/0", settings=FAST)
    gate.wait_for_log("backend name not resolved")
    with open(names.hosts, "a", encoding="ascii") as hosts:
        hosts.write("127.0.0.1 edited.test\n")
    gate.wait_for_log('msg="backend up"')


def test_a_name_is_asked_again_when_its_time_is_over(names, start_redis, start_respgate):
    server = start_redis()
    names.has_a("moved.test", "127.0.0.3", ttl=1)
    gate = start_respgate(f"redis://moved.test:{server.port}/0", settings=FAST)
    gate.wait_for_log("backend down")
    names.has_a("moved.test", "127.0.0.1", ttl=3600)
    gate.wait_for_log('msg="backend up"')


def test_a_failing_name_server_changes_nothing_and_is_told_once(names, redis_server, start_respgate):
    names.has_a("kept.test", "127.0.0.1", ttl=1)
    gate = start_respgate(f"redis://kept.test:{redis_server.port}/0", settings=FAST)
    gate.wait_for_log('msg="backend up"')
    names.dns.zone["kept.test"] = lambda _kind, _n: Answer(0, [], SERVER_FAILED)
    gate.wait_for_log("backend name not resolved")
    asked = len(names.dns.questions)
    wait_until(lambda: len(names.dns.questions) > asked + 4, 30, "more look-ups that fail")
    assert metrics(gate)['respgate_dns_failures_total{backend="default"}'] >= 1
    assert gate.log().count("backend name not resolved") == 1
    assert "backend down" not in gate.log()


def test_it_ends_within_a_look_up(names, start_respgate):
    names.dns.zone["mute.test"] = lambda _kind, _n: None
    gate = start_respgate("redis://mute.test:6379/0", settings=FAST)
    wait_until(lambda: names.dns.questions, what="the question")
    assert gate.stop() == 0
