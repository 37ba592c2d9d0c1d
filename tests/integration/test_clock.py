"""Each backend's clock, as its checks learn it: from INFO or TIME, whatever time it is there, and nobody is asked twice.
What is made of it, and that it is safe, is shown by the unit tests of the fence."""

import sys
import time
from pathlib import Path

import pytest

from harness import ROOT, respgate_binary, wait_until
from test_switch import FAST, status

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply  # noqa: E402

HOUR = 3600
NEAR_US = 400_000  # a check may have taken so long


def clockshift():
    """The library that shifts a Redis' clock."""
    for build in (Path(respgate_binary()).resolve().parent, ROOT / "build"):
        library = build / "tests" / "tools" / "libclockshift.so"
        if library.exists():
            return library
    raise FileNotFoundError("clockshift is not built: meson compile -C build; tests do not skip")


def ahead_us(gate):
    """How far the backend's clock is ahead, None when it is not known."""
    with gate.connect() as client:
        told = status(client)["backend_default"].split("clock_ahead_us=")[1].split(",")[0]
    return None if told == "unknown" else int(told)


def is_ahead_by(us, seconds):
    """The lower end is told: never more than it is, but for the time that reading two clocks takes."""
    return us is not None and -NEAR_US < us - seconds * 1_000_000 < 5_000


def bulk(text):
    """A bulk string."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


def tell_time(ahead_s):
    """What TIME is answered by a backend whose clock is so far ahead."""
    def act(connection, _command):
        seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
        connection.send(b"*2\r\n" + bulk(b"%d" % (seconds + ahead_s)) + bulk(b"%d" % microseconds))
    return act


def tell_info(ahead_s):
    """What INFO is answered by one that tells its role and its time at once."""
    def act(connection, _command):
        clock = time.time_ns() // 1000 + ahead_s * 1_000_000
        connection.send(bulk(b"role:master\r\nserver_time_usec:%d\r\n" % clock))
    return act


def asked(fake, name):
    """How often a command came, on all connections."""
    return sum(connection.names().count(name) for connection in fake.connections)


def checks_pass(fake, n=3):
    """Wait for so many more checks."""
    before = asked(fake, "PING")
    wait_until(lambda: asked(fake, "PING") >= before + n, what="checks")


@pytest.mark.parametrize("ahead_s", [0, HOUR, -HOUR, 10 * 365 * 24 * HOUR])
def test_the_clock_of_a_redis(start_redis, start_respgate, ahead_s):
    server = start_redis(env={"LD_PRELOAD": str(clockshift()), "CLOCKSHIFT_S": str(ahead_s)})
    assert abs(int(server.call("TIME")[0]) - time.time() - ahead_s) < 2
    gate = start_respgate(server, settings=FAST)
    gate.wait_for_log("msg=selected")
    assert is_ahead_by(ahead_us(gate), ahead_s)


def test_who_may_not_ask_for_info_asks_for_the_time(start_redis, start_respgate):
    server = start_redis(config={"user": ["bob on >pw ~* &* +@all -info"]})
    gate = start_respgate(server.url(user="bob", password="pw"), settings=FAST)
    gate.wait_for_log("msg=selected")
    assert is_ahead_by(ahead_us(gate), 0)


def test_a_backend_that_tells_no_time_is_asked_once_on_a_connection(start_redis, start_respgate):
    server = start_redis(config={"user": ["bob on >pw ~* &* +@all -info -time"]})
    gate = start_respgate(server.url(user="bob", password="pw"), settings=FAST)
    gate.wait_for_log("msg=selected")

    def refused(name):
        line = next((line for line in server.call("INFO", "commandstats").decode().splitlines()
                     if line.startswith(f"cmdstat_{name}:")), "rejected_calls=0,")
        return int(line.split("rejected_calls=")[1].split(",")[0])

    wait_until(lambda: refused("info") >= 4, what="checks")
    assert refused("time") == 1 and ahead_us(gate) is None


def test_an_info_that_tells_the_time_saves_the_question(start_respgate):
    with FakeRedis() as fake:
        fake.on("INFO", tell_info(2 * HOUR))
        fake.on("TIME", tell_time(5 * HOUR))
        gate = start_respgate(fake.url(), settings=FAST)
        gate.wait_for_log("msg=selected")
        checks_pass(fake)
        assert is_ahead_by(ahead_us(gate), 2 * HOUR) and not asked(fake, "TIME")


def test_where_commands_cost_the_time_is_asked_for_free(start_respgate):
    with FakeRedis() as fake:
        fake.on("TIME", tell_time(5 * HOUR))
        fake.once("INFO", reply(bulk(b"# Replication\r\n")))
        fake.once("INFO", tell_info(2 * HOUR))
        gate = start_respgate(fake.url(), settings={**FAST, "backend.default.metered": "yes"})
        gate.wait_for_log("msg=selected")
        assert is_ahead_by(ahead_us(gate), 2 * HOUR) and not asked(fake, "TIME")
        first = next(connection for connection in fake.connections if "INFO" in connection.names())
        assert first.commands[1:3] == [[b"INFO", b"replication"], [b"INFO", b"server"]]


def test_a_clock_that_is_set_is_followed(start_respgate):
    with FakeRedis() as fake:
        fake.on("TIME", tell_time(HOUR))
        gate = start_respgate(fake.url(), settings=FAST)
        gate.wait_for_log("msg=selected")
        assert is_ahead_by(ahead_us(gate), HOUR)
        fake.on("TIME", tell_time(-HOUR))
        wait_until(lambda: is_ahead_by(ahead_us(gate), -HOUR), what="the clock that was set back")
        assert "backend down" not in gate.log()


def test_the_clock_of_before_is_forgotten(start_respgate):
    with FakeRedis() as fake:
        fake.on("TIME", tell_time(HOUR))
        gate = start_respgate(fake.url(), settings=FAST)
        gate.wait_for_log("msg=selected")
        assert is_ahead_by(ahead_us(gate), HOUR)
        fake.on("INFO", reply(b"-LOADING soon\r\n"))
        gate.wait_for_log("backend down")
        assert ahead_us(gate) is None
        fake.on("TIME", reply(b"-ERR unknown command 'TIME'\r\n"))
        fake.on("INFO", reply(bulk(b"role:master\r\n")))
        wait_until(lambda: gate.log().count("msg=\"backend up\"") == 2, what="the backend to be back")
        assert ahead_us(gate) is None


@pytest.mark.parametrize("answer", [
    b"*0\r\n", b"*-1\r\n", b"$-1\r\n", b"+OK\r\n", b":5\r\n", b"*2\r\n:1790000000\r\n:5\r\n", b"*2\r\n$-1\r\n$-1\r\n",
    b"*2\r\n$2\r\n-1\r\n$1\r\n0\r\n", b"*2\r\n$1\r\n1\r\n$7\r\n1000000\r\n", b"*1\r\n$1\r\n1\r\n",
    b"*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n"])
def test_what_is_no_time_is_none_and_nothing_against_the_backend(start_respgate, answer):
    with FakeRedis() as fake:
        fake.on("TIME", reply(answer))
        gate = start_respgate(fake.url(), settings=FAST)
        gate.wait_for_log("msg=selected")
        checks_pass(fake)
        assert ahead_us(gate) is None and "backend down" not in gate.log()
        assert asked(fake, "TIME") == 1


@pytest.mark.parametrize("answer, cause", [(b"-LOADING soon\r\n", "loading"), (b"*2\r\n*1\r\n", "protocol"),
                                           (b"*2147483647\r\n", "protocol")])
def test_other_words_count_at_this_step_too(start_respgate, answer, cause):
    with FakeRedis() as fake:
        fake.on("TIME", reply(answer))
        gate = start_respgate(fake.url(), settings=FAST)
        assert f"cause={cause}" in gate.wait_for_log("backend down")
