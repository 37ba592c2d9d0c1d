"""What holds for every script of the limiter: its contract, its dialects, the deadline, and the file of them for C."""

import hashlib
import re
import subprocess
import time

import pytest

from harness import wait_until
from limiter_scripts.cl_model import Throttle
from limiter_scripts.lab import Lab, assemble

# One call of each script that would write, or read, on the keys that its contract names.
CALLS = {
    "cl_throttle": (["k"], Throttle(4, 1, 100).arguments()),
    "increx": (["k"], ("int", 1, -5, 5, "reject", "px", 10**5, "always")),
    "lim_gcra": (["k", "id"], ("take", 5, 10**10, 1, 1, 0, 10**5)),
    "lim_multi": (["k", "s", "s:m"], ("gcra", 5, 10**10, 1, 1, "sem", 2, 10**8, "t", "-")),
    "lim_reset": (["k"], (1,)),
    "lim_slide": (["k", "id"], ("take", 5, 10**5, 1, 10**5)),
    "lim_slide_log": (["k", "id"], ("take", 5, 10**8, 1, 10**5)),
    "lim_window": (["k", "id"], ("take", 5, 10**8, "first", 1, 10**5)),
    "repair_act": (["k", "p"], (2, "o", "record", "rule", 10**5, 2, "ZCARD", "ZSCORE", 14, 2, "plain", "ZADD", 1, "t")),
    "repair_check": (["k", "p"], (2, 10**6, "o:1", 2, "ZCARD")),
    "repair_incr": (["k"], (10**5, 5, 1, "INCR")),
    "repair_leave": (["k", "p"], ("o", 10**6)),
    "repair_purge": (["k", "m"], ("ZREMRANGEBYSCORE", 0, 5)),
    "sem_acquire": (["k", "m", "p"], (2, 10**8, "t", 1, "slots")),
    "sem_acquire_fifo": (["k", "m", "q", "d", "p"], (2, 10**8, "t", 1, "slots", 1000)),
    "sem_check": (["k", "m"], ("t",)),
    "sem_clear": (["k", "m"], ()),
    "sem_count": (["k", "p", "d"], ()),
    "sem_holders": (["k", "m"], (5,)),
    "sem_leases": (["k", "p", "d"], (5,)),
    "sem_leave": (["q", "d"], ("t", 1)),
    "sem_release": (["k", "m"], ("t",)),
    "sem_give_back": (["k", "m"], ("t", 5)),
    "sem_renew": (["k", "m"], ("t", 10**8)),
    "visible": ([], ("KEYS", "*")),
}
AROUND_A_CLIENTS_OWN = {"repair_show"}  # no script by itself: test_repair_scripts.py
WRITES = ["cl_throttle", "increx", "lim_gcra", "lim_multi", "lim_slide", "lim_slide_log", "lim_window", "repair_act",
          "repair_incr", "sem_acquire", "sem_acquire_fifo"]
NEWER_THAN_REDIS_5 = r"PXAT|EXAT|KEEPTTL|GETEX|GETDEL|ZMSCORE|PEXPIRETIME|ZRANGESTORE|setresp|LPOS|COPY|'(NX|GT|LT)'"
ONLY_IN_RESP3 = re.compile(r"^if ARGV\[\d+\] == '3' then\nredis\.setresp\([23]\)\nend\n", re.MULTILINE)


@pytest.fixture
def lab(redis_server):
    """Scripts on a clock of the test's own."""
    with Lab(redis_server) as made:
        yield made


def test_every_script_is_called_here():
    assert sorted({*CALLS, *AROUND_A_CLIENTS_OWN}) == assemble.names()


@pytest.mark.parametrize("name", assemble.names())
def test_a_script_states_its_contract(name):
    source = (assemble.FOLDER / f"{name}.lua").read_text()
    contract = source[: re.search(r"^(?!--)", source, re.MULTILINE).start()]
    assert all(re.search(rf"^-- +{word}", contract, re.MULTILINE) for word in ("KEYS", "reply"))
    highest = max([1, *(int(number) for number in re.findall(r"ARGV\[(\d+)\]", source))])
    explained = re.search(rf"ARGV\[(\d+\.\.)?({highest}(\.\.\.)?|2\.\.\.?)\]", contract)
    assert highest == 1 or explained, f"ARGV[{highest}] is not explained"


@pytest.mark.parametrize("name", assemble.names())
def test_a_script_asks_the_clock_once_and_needs_no_newer_redis(name):
    text = ONLY_IN_RESP3.sub("", assemble.assemble(name))
    assert text.count("'TIME'") == 1 and not re.search(NEWER_THAN_REDIS_5, text) and "cjson" not in text


@pytest.mark.parametrize("name", assemble.names())
def test_the_dialects_differ_in_their_first_line_only(name):
    plain, upstash = assemble.assemble(name), assemble.assemble(name, "upstash")
    assert upstash == "#!lua flags=allow-key-locking\n" + plain and not plain.startswith("#!")


@pytest.mark.parametrize("name", CALLS)
def test_plain_redis_compiles_it_with_and_without_a_shebang(redis_server, name):
    """No Redis here knows Upstash's flag, but the rest of what a shebang changes can be seen: one without flags."""
    with Lab(redis_server, virtual=False) as lab:
        keys, args = CALLS[name]
        bare = lab.run(name, keys, *args)
        lab.forget()
        request = ("EVAL", "#!lua\n" + assemble.assemble(name), len(keys), *keys, 2**53 - 1, *args)
        assert type(lab.call(*request)) is type(bare) and not isinstance(bare, str)


# The lab lets no script look at keys that it was not given, as `visible` must.
@pytest.mark.parametrize("name", [name for name in CALLS if name != "visible"])
def test_a_late_call_does_nothing_and_says_so(lab, name):
    keys, args = CALLS[name]
    for key in ("q", "d"):
        lab.call("ZADD", key, lab.now_us + 1000, "t")
    before = lab.call("KEYS", "*")
    late = lab.run(name, keys, *args, deadline_us=lab.now_us - 1)
    assert late == "RGUNAVAIL the limiter call came after its deadline and did nothing, safe to retry"
    assert lab.call("KEYS", "*") == before
    on_time = lab.run(name, keys, *args, deadline_us=lab.now_us)
    assert not isinstance(on_time, str)
    if name in WRITES:
        assert lab.call("EXISTS", "k") == 1


def test_a_late_call_keeps_what_a_release_would_remove(lab):
    lab.run("sem_acquire", ["k", "m"], 2, 10**6, "t", 1, "plain")
    before = lab.dump("k", "m")
    for name in ("sem_release", "sem_give_back", "sem_clear", "lim_reset"):
        keys, args = CALLS[name]
        assert lab.run(name, keys, *args, deadline_us=lab.now_us - 1).startswith("RGUNAVAIL ")
    assert lab.dump("k", "m") == before


def test_a_paused_backend_does_no_old_work_when_it_wakes(redis_server):
    """On the real clock: the call waits in its socket until its deadline is over."""
    with Lab(redis_server, virtual=False) as lab:
        keys, args = CALLS["sem_acquire"]
        deadline_us = lab.now_server_us() + 50000
        request = lab.request("sem_acquire", keys, args, deadline_us)
        redis_server.pause()
        lab.connection.command(*request)
        wait_until(lambda: time.time_ns() // 1000 > deadline_us, what="the deadline")
        redis_server.resume()
        assert lab.connection.read_value().startswith("RGUNAVAIL ") and lab.call("DBSIZE") == 0


@pytest.mark.parametrize("name", ["sem_check", "sem_count", "sem_holders"])
def test_a_script_that_only_reads_runs_on_a_replica(start_redis, name):
    primary = start_redis()
    replica = start_redis(config={"replicaof": f"127.0.0.1 {primary.port}"})
    with Lab(replica, virtual=False) as lab:
        keys, args = CALLS[name]
        assert lab.run(name, keys, *args) in (0, [0, 0, 0], [])


def test_a_replica_gets_effects_not_scripts(start_redis):
    """It would decide anew by its own clock."""
    primary = start_redis(config={"repl-diskless-sync-delay": 0})
    replica = start_redis(config={"replicaof": f"127.0.0.1 {primary.port}"})
    with Lab(primary, virtual=False) as lab:
        wait_until(lambda: "state=online" in lab.call("INFO", "replication").decode(), what="the replica")
        for name in WRITES:
            keys, args = CALLS[name]
            lab.run(name, [f"{name}:{key}" for key in keys], *args)
        keys = sorted(lab.call("KEYS", "*"))
        wait_until(lambda: sorted(replica.call("KEYS", "*")) == keys, what="the keys on the replica")
        assert len(keys) > len(WRITES) and lab.call("WAIT", 1, 5000) == 1
        assert [replica.call("DUMP", key) for key in keys] == lab.dump(*keys)
        assert all(replica.call("PEXPIRETIME", key) == lab.call("PEXPIRETIME", key) > 0 for key in keys)
        assert "cmdstat_eval" not in replica.call("INFO", "commandstats").decode()


@pytest.mark.parametrize("name", CALLS)
def test_the_reply_is_the_same_in_resp3(lab, name):
    keys, args = CALLS[name]
    lab.run(name, keys, *args)
    first = lab.run(name, keys, *args)
    lab.forget()
    lab.call("HELLO", 3)
    lab.run(name, keys, *args)
    assert lab.run(name, keys, *args) == first


def test_c_gets_the_same_text(tmp_path):
    """The include file compiles, and what a C program prints of it is what is loaded here."""
    assemble.main(tmp_path / "scripts.inc", tmp_path / "scripts.d")
    (tmp_path / "print.c").write_text(
        '#include <stdio.h>\n#define SCRIPT(name, sha, upstash_sha, upstash_line, text) '
        'printf("%s %s %s %s%s%c", #name, sha, upstash_sha, upstash_line, text, 0);\n'
        'int main(void)\n{\n#include "scripts.inc"\n    return 0;\n}\n')
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "print", tmp_path / "print.c"], check=True)
    printed = subprocess.run([tmp_path / "print"], capture_output=True, check=True, text=True).stdout.split("\0")[:-1]
    texts = [(name, assemble.assemble(name), assemble.assemble(name, "upstash")) for name in assemble.names()]
    assert printed == [f"{name} {sha1(plain)} {sha1(upstash)} {upstash}" for name, plain, upstash in texts]
    read = (tmp_path / "scripts.d").read_text()
    assert all(f"/{name}.lua" in read for name in (*assemble.names(), "prelude", "parts/tat"))


def sha1(text):
    """As SCRIPT LOAD answers it."""
    return hashlib.sha1(text.encode()).hexdigest()
