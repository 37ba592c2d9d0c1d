"""Seams of a switch: what else is going on in a client, a pool or the prober just then."""

import re
import signal
import sys
import time
from pathlib import Path

import pytest

from backend_view import wait_blocked
from harness import ROOT, WireError, encode, wait_until
from taken import wait_taken
from test_switch import Pair, status

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply  # noqa: E402

PATIENT = {"health.timeout": "5s", "health.hang_threshold": "5s"}  # a slow script is no reason to leave
SLOW = ("local t=redis.call('TIME') while true do local n=redis.call('TIME') if "
        "(n[1]-t[1])*1000000+n[2]-t[2]>1500000 then return 'slow' end end")


@pytest.fixture
def pair(start_redis, start_respgate):
    """Factory: pair(change="close", **settings)."""
    return lambda change="continue", **kwargs: Pair(start_redis, start_respgate, change, **kwargs)


@pytest.mark.threads
def test_who_keeps_a_lane_without_state_is_taken_along_though_it_never_pauses(pair):
    two = pair(**PATIENT)
    two.first.kill()
    two.wait_for("second")
    with two.gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK" and client.call("WAIT", 0, 0) == 0  # now it has its own lane
        client.send(encode("EVAL", SLOW, 0))
        wait_taken(client.socket)
        two.first.start()
        two.wait_for("default")
        client.send(encode("INCR", "n"))
        assert client.read_value() == b"slow" and client.read_value() == 1
    assert two.second.call("GET", "n") is None and two.first.call("GET", "n") == b"1"


def test_who_was_not_told_of_another_data_set_before_the_next_switch_still_is(pair, start_redis):
    third = start_redis()
    two = pair(change="error_once", **{"backend.second.dataset": "other", "backend.third.dataset": "other",
                                       "backend.third.url": third.url(), "backend.third.priority": 30})
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        two.wait_for("second")
        two.second.kill()
        two.wait_for("third")
        assert str(client.call("SET", "k", "v")).startswith("RGSTATE another data set")
        assert client.call("GET", "k") is None


def test_a_large_command_is_told_of_another_data_set_as_well(pair):
    two = pair(change="error_once")
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        two.wait_for("second")
        with pytest.raises((WireError, OSError)):  # closing may overtake the reply, as much is still on its way
            reply = client.call("SET", "k", "v" * 200_000)
            assert str(reply).startswith("RGSTATE another data set")
            client.read_value()
    assert two.second.call("EXISTS", "k") == 0


def test_the_id_of_a_connection_is_not_taken_to_another_backend(pair):
    two = pair()
    with two.gate.connect() as blocked, two.gate.connect() as unblocker, two.second.connect() as witness:
        name = blocked.call("CLIENT", "ID")
        blocked.command("BLPOP", "queue", 0)
        wait_blocked(two.first, 1)
        line = next(line for line in two.first.call("CLIENT", "LIST").decode().splitlines() if "cmd=blpop" in line)
        wanted = int(re.search(r"\bid=(\d+)", line).group(1))
        bystander = two.second.connect()
        while bystander.call("CLIENT", "ID") < wanted:
            bystander.close()
            bystander = two.second.connect()
        number = bystander.call("CLIENT", "ID")
        assert number == wanted, "its id is taken already: connect less before"
        bystander.command("BLPOP", "queue", 0)
        wait_blocked(two.second, 1)
        two.first.pause()
        assert unblocker.call("CLIENT", "UNBLOCK", name) == 0  # waits for a connection, and gets it elsewhere
        assert witness.call("INFO", "clients").decode().count("blocked_clients:1") == 1
        two.first.resume()
        bystander.close()


class Reloadable:
    """respgate with a configuration file, one data set on all its backends, and checks that take no harm in a pause."""

    def __init__(self, start_respgate, directory, **settings):
        self.path = directory / "respgate.ini"
        self.settings = "".join(f"[{key.split('.')[0]}]\n{key.split('.')[1]} = {value}\n"
                                for key, value in settings.items())
        self.start = lambda: start_respgate("", env={"RESPGATE_CONFIG": str(self.path)})
        self.gate = None

    def use(self, *servers, dbs=(0, 0, 0), **more):
        """Have exactly these backends, in this order, with these in their URLs; `more` goes into each section."""
        lines = "".join(f"{key} = {value}\n" for key, value in more.items())
        sections = [f"[backend b{server.port}]\nurl = {server.url(dbs[i])}\npriority = {10 * i}\ndataset = same\n"
                    f"{lines}"
                    for i, server in enumerate(servers)]
        self.path.write_text("".join(sections) + "[health]\ninterval = 200ms\nfast_interval = 50ms\ntimeout = 20s\n"
                             "hang_threshold = 20s\n" + self.settings)
        if self.gate:
            self.gate.signal(signal.SIGHUP)
        else:
            self.gate = self.start()
        with self.gate.connect() as connection:
            wait_until(lambda: status(connection)["backend"] == f"b{servers[0].port}", what="the first of them")


@pytest.fixture
def reloadable(start_respgate, tmp_path):
    """Factory: reloadable(**{"listen.drain_timeout": "1s"})."""
    return lambda **settings: Reloadable(start_respgate, tmp_path, **settings)


def test_a_backend_that_was_taken_out_and_hangs_does_not_hold_its_last_requests_for_ever(start_redis, reloadable):
    first, second = start_redis(), start_redis()
    setup = reloadable(**{"listen.drain_timeout": "1s"})
    setup.use(first)
    with setup.gate.connect() as client:
        assert client.call("SET", "k", "v" * 200_000) == "OK"  # its connection stays there for the next
        first.pause()
        client.send(encode("SET", "k", "w" * 200_000))
        wait_taken(client.socket)
        setup.use(second)
        assert str(client.read_value()).startswith("RGUNKNOWN")
        assert client.call("SET", "k", "v") == "OK" and second.call("GET", "k") == b"v"
    first.resume()


def test_command_timeout_holds_for_what_a_left_backend_still_owes(start_redis, reloadable):
    first, second = start_redis(), start_redis()
    setup = reloadable()
    setup.use(first, command_timeout="700ms")
    with setup.gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"
        client.send(encode("EVAL", SLOW, 0))
        wait_taken(client.socket)
        setup.use(second, first, command_timeout="700ms")
        assert str(client.read_value()).startswith("RGUNKNOWN")
        assert client.call("SET", "k", "w") == "OK" and second.call("GET", "k") == b"w"


def resident_kib(pid):
    """Memory of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


@pytest.mark.figures
def test_what_was_trusted_before_a_reload_is_let_go(start_respgate, figure):
    gate = start_respgate("rediss://localhost:1/0")  # the CAs of the system, some hundred KiB

    def reload(times):
        for _ in range(times):
            gate.signal(signal.SIGHUP)
            time.sleep(0.1)  # signals that come too soon become one

    reload(5)
    before = resident_kib(gate.pid)
    reload(20)
    growth = (resident_kib(gate.pid) - before) / 20
    figure(f"a reload of a TLS backend costs {growth:.0f} KiB for ever (at most 50)")
    assert growth <= 50


def test_connections_to_a_backend_that_is_left_do_not_count_against_the_next(start_redis, reloadable):
    first, second = start_redis(), start_redis()
    setup = reloadable(**{"fallback.queue_timeout": "300ms", "listen.workers": 1})
    setup.use(first, max_connections=4, connections=1)
    clients = [setup.gate.connect() for _ in range(3)]
    for client in clients:
        assert client.call("SET", "k", "v") == "OK" and client.call("WAIT", 0, 0) == 0  # its own lane
    for client in clients:
        client.send(encode("EVAL", SLOW, 0))
        wait_taken(client.socket)
    setup.use(second, first, max_connections=4, connections=1)
    with setup.gate.connect() as pinned, setup.gate.connect() as other:
        for client in (pinned, other):
            assert client.call("WATCH", "k") == "OK"
    for client in clients:
        assert client.read_value() == b"slow"


def test_a_chosen_db_is_not_taken_for_that_of_a_url_on_the_way(start_redis, reloadable):
    first, second = start_redis(), start_redis()
    setup = reloadable()
    setup.use(first, second, dbs=(0, 1))
    with setup.gate.connect() as chooser, setup.gate.connect() as other:
        assert chooser.call("SELECT", 1) == "OK"
        for n in (1, 2, 3):
            assert chooser.call("SET", "who", f"chooser {n}") == "OK" and other.call("SET", "who", f"other {n}") == "OK"
            here, there = (first, second) if n % 2 else (second, first)
            with here.connect() as direct:
                direct.call("SELECT", 1)
                assert direct.call("GET", "who") == f"{'chooser' if here is first else 'other'} {n}".encode()
            setup.use(there, here, dbs=(0, 1) if there is first else (1, 0))


def test_reloads_do_not_try_a_refused_login_again_and_again(start_redis, reloadable):
    first, second = start_redis(), start_redis(config={"requirepass": "right"})
    setup = reloadable()
    setup.use(first, second)
    setup.gate.wait_for_log("cause=auth")

    def refused():
        with second.connect() as direct:
            direct.call("AUTH", "right")
            return int(re.search(r"errorstat_NOAUTH:count=(\d+)", direct.call("INFO", "errorstats").decode()).group(1))

    before = refused()
    for queue_timeout in range(5):
        setup.settings = f"[fallback]\nqueue_timeout = {queue_timeout + 1}s\n"
        setup.use(first, second)
        time.sleep(0.1)  # signals that come too soon become one
    assert refused() == before


def test_a_long_reply_that_quotes_the_password_is_not_cut_into_a_piece_of_it(start_respgate):
    with FakeRedis() as fake:
        fake.on("AUTH", reply(b"-ERR " + b"x" * 240 + b"long-and-secret\r\n"))
        gate = start_respgate(fake.url().replace("redis://", "redis://:long-and-secret@"))
        assert "quotes the password" in gate.wait_for_log("backend down")
        assert "xlong" not in gate.log()
