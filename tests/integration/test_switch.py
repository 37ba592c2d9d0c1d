"""Switching between backends: what each kind of client sees when the route goes from one to another."""

import time

import pytest

from backend_view import wait_blocked
from harness import ErrorReply, WireError, encode, wait_until

FAST = {"health.interval": "200ms", "health.fast_interval": "50ms", "health.timeout": "200ms", "health.fall": 2,
        "health.rise": 1, "health.hang_threshold": "300ms", "fallback.failback_hold": "100ms",
        "fallback.queue_timeout": "5s"}
OTHER_DATA = [None, "continue", "error_once", "close"]


def status(connection):
    """RESPGATE STATUS as a dict."""
    text = connection.call("RESPGATE", "STATUS")
    return dict(line.split(":", 1) for line in text.decode().splitlines() if line)


class Pair:
    """Two servers, `first` preferred, and respgate in front of them."""

    def __init__(self, start_redis, start_respgate, change="continue", first_config=None, **settings):
        self.first, self.second = start_redis(config=first_config or {}), start_redis()
        env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": self.second.url(),
               "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
        all_settings = {**FAST, **settings}
        if change:
            all_settings["fallback.on_dataset_change"] = change
        self.gate = start_respgate(self.first, settings=all_settings, env=env)
        self.wait_for("default")
        self.first.call("SET", "who", "first")
        self.second.call("SET", "who", "second")

    def wait_for(self, backend):
        """Until that backend is in use."""
        with self.gate.connect() as connection:
            wait_until(lambda: status(connection)["backend"] == backend, what=f"backend {backend} to be in use")


@pytest.fixture
def pair(start_redis, start_respgate):
    """Factory: pair(change="close", **settings)."""
    return lambda change="continue", **kwargs: Pair(start_redis, start_respgate, change, **kwargs)


@pytest.mark.threads
def test_an_idle_client_goes_on_where_the_route_leads_with_its_db_protocol_and_name(pair):
    two = pair()
    two.second.call("SET", "who", "second")
    with two.second.connect() as direct:
        direct.call("SELECT", 3)
        direct.call("SET", "who", "third db")
    with two.gate.connect() as client:
        client.call("HELLO", 3)
        client.call("CLIENT", "SETNAME", "wanderer")
        assert client.call("SELECT", 3) == "OK" and client.call("SET", "who", "x") == "OK"
        two.first.kill()
        wait_until(lambda: client.call("GET", "who") == b"third db", what="the other backend's value")
        assert client.call("HGETALL", "none") == {} and client.call("CLIENT", "GETNAME") == b"wanderer"
        assert client.call("MULTI") == "OK" and client.call("GET", "who") == "QUEUED"
        assert client.call("EXEC") == [b"third db"]


@pytest.mark.threads
def test_it_goes_back_when_the_first_is_back_and_nobody_loses_a_reply(pair):
    two = pair(**{"health.timeout": "5s", "health.hang_threshold": "5s"})  # the script is no reason to leave
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        wait_until(lambda: client.call("GET", "who") == b"second", what="the failover")
        client.send(encode("EVAL", "local t=redis.call('TIME') while true do local n=redis.call('TIME') if "
                           "(n[1]-t[1])*1000000+n[2]-t[2]>1500000 then return 'slow' end end", 0))
        two.first.start()
        two.first.call("SET", "who", "first again")
        with two.gate.connect() as other:
            wait_until(lambda: status(other)["backend"] == "default", what="the failback")
            assert status(other)["why"] == "failback"
        assert client.read_value() == b"slow"
        wait_until(lambda: client.call("GET", "who") == b"first again", what="the client to be back")


def test_what_was_not_sent_is_sent_to_the_next_backend(pair):
    two = pair(**{"health.interval": "10s", "health.fast_interval": "10s"})
    with two.gate.connect() as client, two.gate.connect() as witness:
        assert client.call("GET", "who") == b"first"
        two.second.pause()
        two.first.kill()
        wait_until(lambda: status(witness)["backend"] != "default", what="the first to be given up")
        client.send(encode("INCR", "n") + encode("GET", "who"))
        two.second.resume()
        assert client.read_value() == 1 and client.read_value() == b"second"
    assert two.second.call("GET", "n") == b"1"


@pytest.mark.threads
def test_requests_that_were_sent_are_unknown_and_none_runs_twice(pair):
    two = pair()
    with two.gate.connect() as client:
        client.call("SET", "n", 0)
        two.first.pause()
        client.send(encode("INCR", "n"))
        reply = client.read_value()
        assert isinstance(reply, ErrorReply) and str(reply).startswith("RGUNKNOWN")
        wait_until(lambda: client.call("GET", "who") == b"second", what="the failover")
        assert two.second.call("GET", "n") is None
        two.first.resume()


def test_another_data_set_closes_clients_of_the_old_one_by_default(pair):
    two = pair(change=None)
    with two.gate.connect() as client, two.gate.connect() as idle:
        assert client.call("GET", "who") == b"first" and idle.call("GET", "who") == b"first"
        two.first.kill()
        for connection in (client, idle):
            with pytest.raises((WireError, OSError)):
                while True:
                    connection.read_value()
        two.wait_for("second")
    with two.gate.connect() as fresh:
        assert fresh.call("GET", "who") == b"second"


def test_another_data_set_can_be_told_by_one_error(pair):
    two = pair(change="error_once")
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        two.wait_for("second")
        reply = client.call("SET", "k", "v")
        assert isinstance(reply, ErrorReply) and str(reply).startswith("RGSTATE another data set")
        assert client.call("GET", "k") is None and client.call("GET", "who") == b"second"


def test_backends_of_one_data_set_are_switched_without_a_word(pair):
    two = pair(change="close", **{"backend.default.dataset": "one", "backend.second.dataset": "one"})
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        wait_until(lambda: client.call("GET", "who") == b"second", what="the failover")


def begin_subscription(client):
    """A subscriber."""
    assert client.call("SUBSCRIBE", "news")[0] == b"subscribe"


def begin_transaction(client):
    """An open transaction."""
    assert client.call("MULTI") == "OK" and client.call("SET", "k", "v") == "QUEUED"


def begin_watch(client):
    """A watching client."""
    assert client.call("WATCH", "k") == "OK"


def begin_monitor(client):
    """MONITOR."""
    assert client.call("MONITOR") == "OK"


def begin_blocking(client):
    """A blocked pop, whose reply is owed."""
    client.command("BLPOP", "queue", 0)


SESSIONS = [begin_subscription, begin_transaction, begin_watch, begin_monitor, begin_blocking]


@pytest.mark.threads
@pytest.mark.parametrize("back", [False, True], ids=["failover", "failback"])
@pytest.mark.parametrize("begin", SESSIONS)
def test_a_session_never_goes_on_over_another_data_set(pair, begin, back):
    two = pair()
    if back:
        two.first.kill()
        two.wait_for("second")
    with two.gate.connect() as client:
        begin(client)
        if begin is begin_blocking:
            wait_blocked(two.second if back else two.first, 1)
        if back:
            two.first.start()
            two.wait_for("default")
        else:
            two.first.kill()
        replies = []
        with pytest.raises((WireError, OSError)):
            while True:
                replies.append(client.read_value())
    owed = [reply for reply in replies if isinstance(reply, ErrorReply)]
    assert all(str(reply).startswith("RGSTATE") for reply in owed)
    assert bool(owed) == (begin is begin_blocking)


def test_without_any_backend_requests_wait_or_not_as_configured(pair):
    two = pair(**{"fallback.when_all_down": "none"})
    two.first.kill()
    two.second.kill()
    two.wait_for("none")
    with two.gate.connect() as client:
        begun = time.monotonic()
        reply = client.call("GET", "who")
        assert isinstance(reply, ErrorReply) and str(reply).startswith("RGUNAVAIL")
        assert time.monotonic() - begun < 1
        assert client.call("CLIENT", "GETNAME") is None
        two.second.start()
        wait_until(lambda: client.call("SET", "k", "v") == "OK", what="the second to be used")


def test_an_expected_backend_is_the_only_one_ever_used(pair):
    two = pair(**{"fallback.when_all_down": "none"})
    two.gate.stop()
    two.gate.extra_env["RESPGATE_EXPECT"] = "second"
    two.gate.start()
    two.wait_for("second")
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"second" and status(client)["ready"] == "yes"
        two.second.kill()
        wait_until(lambda: status(client)["ready"] == "no", what="readiness to end")
        assert "second" in status(client)["ready_reason"]
        assert str(client.call("GET", "who")).startswith("RGUNAVAIL")


def test_a_primary_that_becomes_a_replica_is_left(pair):
    two = pair()
    with two.gate.connect() as client:
        assert client.call("GET", "who") == b"first"
        two.first.call("REPLICAOF", "127.0.0.1", two.second.port)
        replies = []
        wait_until(lambda: replies.append(client.call("SET", "k", "v")) or replies[-1] == "OK" and
                   status(client)["backend"] == "second", what="a write to succeed on the second")
        refused = [reply for reply in replies if reply != "OK"]
        assert all(str(reply).startswith("READONLY") for reply in refused)
        assert "state=down,cause=role" in status(client)["backend_default"]
        two.first.call("REPLICAOF", "NO", "ONE")
        two.wait_for("default")


def test_a_reload_that_adds_and_removes_backends_loses_nothing(start_redis, start_respgate, tmp_path):
    first, second = start_redis(), start_redis()
    path = tmp_path / "respgate.ini"

    def write(*servers):
        sections = [f"[backend b{server.port}]\nurl = {server.url()}\npriority = {10 * i}\ndataset = same\n"
                    for i, server in enumerate(servers)]
        path.write_text("".join(sections) + "[health]\ninterval = 200ms\nfast_interval = 50ms\n")

    write(first)
    gate = start_respgate("", env={"RESPGATE_CONFIG": str(path)})
    with gate.connect() as client:
        assert client.call("SET", "k", 1) == "OK"
        before = client.call("CLIENT", "ID")
        write(second, first)
        gate.signal(1)
        wait_until(lambda: status(client)["backend"] == f"b{second.port}", what="the new first backend")
        assert client.call("SET", "k", 2) == "OK" and second.call("GET", "k") == b"2"
        write(second)
        gate.signal(1)
        wait_until(lambda: f"backend_b{first.port}" not in status(client), what="the old one to be gone")
        path.write_text("[backend b]\nurl = http://wrong/\n")
        gate.signal(1)
        assert "http" not in gate.wait_for_log("configuration not reloaded")
        assert client.call("INCR", "k") == 3 and client.call("CLIENT", "ID") == before
    wait_until(lambda: first.call("CLIENT", "LIST").count(b"id=") == 1, what="its connections to be closed")


@pytest.mark.parametrize("guard", ["MULTI", "WATCH"])
@pytest.mark.parametrize("change", ["error_once", "continue"])
def test_what_came_behind_a_transaction_that_could_not_begin_does_not_run_without_it(pair, guard, change):
    two = pair(change=change, **{"fallback.when_all_down": "none"})
    with two.gate.connect() as client, two.gate.connect() as witness:
        assert client.call("GET", "who") == b"first"
        two.first.kill()
        if change == "continue":
            two.second.pause()
            wait_until(lambda: status(witness)["backend"] == "none", what="nothing to be usable")
        else:
            two.wait_for("second")
        client.send(encode(*([guard] if guard == "MULTI" else [guard, "k"])) + encode("SET", "k", "v") + encode("EXEC"))
        two.second.resume()
        replies = []
        with pytest.raises((WireError, OSError)):
            while True:
                replies.append(client.read_value())
        assert len(replies) == 1 and str(replies[0]).startswith("RG")
    two.wait_for("second")
    assert two.second.call("GET", "k") is None
