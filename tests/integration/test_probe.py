"""The checks of a backend against answers that are easily misread: refused at the door, cut, quoted, too much."""

import sys
import time

import pytest

from harness import ROOT, run_respgate
from test_check import check, env_of

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, reply  # noqa: E402

SECRET = "s3cr3t-hunter2-0123456789"


def check_one(url, **more):
    """What `check --connect` says of this URL."""
    _, found = check({**env_of(a=url), **more}, "--json")
    return found["a"]


@pytest.mark.parametrize("metered", ["no", "yes"])
def test_a_server_that_is_full_says_so_before_it_is_asked(start_redis, metered):
    server = start_redis(config={"maxclients": 1})
    with server.connect() as only_one:
        only_one.call("PING")
        found = check_one(server.url(), RESPGATE_BACKEND_A_METERED=metered)
    assert (found["cause"], found["step"]) == ("capacity", "ping")
    assert "max number of clients" in found["reason"]


def test_what_an_array_announces_is_not_allocated():
    with FakeRedis() as fake:
        fake.on("PING", reply(b"*2147483647\r\n"))
        begun = time.monotonic()
        found = check_one(fake.url())
        took = time.monotonic() - begun
    assert found["cause"] == "protocol" and took < 1, f"{found} after {took:.1f} s"


def test_a_reply_that_is_too_long_is_none():
    with FakeRedis() as fake:
        fake.on("INFO", reply(b"$70000\r\n" + b"x" * 70000 + b"\r\n"))
        assert check_one(fake.url())["cause"] == "protocol"


def test_the_nonce_must_come_back_exactly():
    def with_a_tail(connection, command):
        connection.send(b"$%d\r\n%b\0tail\r\n" % (len(command[1]) + 5, command[1]))
    with FakeRedis() as fake:
        fake.on("PING", with_a_tail)
        assert check_one(fake.url())["cause"] == "protocol"


def test_bytes_of_a_backend_do_not_command_the_terminal():
    with FakeRedis() as fake:
        fake.on("PING", reply(b"-ERR \x1b[2Jboo\x07\xff\r\n"))
        done = run_respgate("check", "--connect", env=env_of(a=fake.url()))
    assert "ERR ?[2Jboo??" in done.stdout and done.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("before", [0, 225, 240, 245])
def test_no_piece_of_a_quoted_password_is_shown(before):
    with FakeRedis() as fake:
        fake.on("AUTH", reply(b"-ERR " + b"x" * before + SECRET.encode() + b"\r\n"))
        url = fake.url().replace("redis://", f"redis://default:{SECRET}@")
        done = run_respgate("check", "--connect", env=env_of(a=url))
    assert done.returncode == 3 and SECRET[:6] not in done.stdout + done.stderr


@pytest.mark.parametrize("word, cause", [(b"-LOADING x\r\n", "loading"), (b"-CLUSTERDOWN x\r\n", "cluster"),
                                         (b"-ERR max daily request limit exceeded\r\n", "quota")])
def test_error_words_count_at_every_step(word, cause):
    with FakeRedis() as fake:
        fake.on("INFO", reply(word))
        found = check_one(fake.url())
    assert (found["cause"], found["step"]) == (cause, "role")


def test_the_label_is_that_of_the_urls_database(redis_server):
    redis_server.call("SET", "respgate:dataset", "local")
    with redis_server.connect() as connection:
        connection.call("SELECT", "5")
        connection.call("SET", "respgate:dataset", "other")
    assert check_one(redis_server.url(), RESPGATE_BACKEND_A_DATASET="local")["ok"]
    found = check_one(redis_server.url(db=5), RESPGATE_BACKEND_A_DATASET="local")
    assert found["cause"] == "dataset" and "'other'" in found["reason"]


def test_a_label_that_is_no_string_is_wrong(redis_server):
    redis_server.call("RPUSH", "respgate:dataset", "local")
    found = check_one(redis_server.url(), RESPGATE_BACKEND_A_DATASET="local")
    assert found["cause"] == "dataset" and "no string" in found["reason"]


@pytest.mark.parametrize("metered", ["no", "yes"])
def test_a_database_that_is_not_there_is_found(start_redis, metered):
    server = start_redis(config={"databases": 1})
    found = check_one(server.url(db=5), RESPGATE_BACKEND_A_METERED=metered)
    assert (found["cause"], found["step"]) == ("dataset", "dataset") and "out of range" in found["reason"]


def test_tls_to_a_plain_port_says_what_may_be_wrong(redis_server):
    url = redis_server.url().replace("redis://", "rediss://")
    found = check_one(url, RESPGATE_BACKEND_A_CONNECT_TIMEOUT="500ms")
    assert found["step"] == "tls" and "must begin with redis://" in found["reason"]
