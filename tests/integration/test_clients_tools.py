"""redis-cli, redis-benchmark and a C program on hiredis work through respgate as they do on Redis."""

import csv
import re
import subprocess
from pathlib import Path

import pytest

from client_program import run_program
from harness import ROOT, respgate_binary, wait_until
from wire import encode

PIPED_COMMANDS = 100_000
BENCHMARKS = {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET",
              "SPOP", "ZADD", "ZPOPMIN", "LPUSH (needed to benchmark LRANGE)", "LRANGE_100 (first 100 elements)",
              "LRANGE_300 (first 300 elements)", "LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)",
              "MSET (10 keys)"}


def run_tool(*argv, stdin=None, exit_code=0, timeout=60):
    """Its output; `stdin` is text or an open file."""
    source = {"input": stdin} if isinstance(stdin, str) else {"stdin": stdin or subprocess.DEVNULL}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, **source)
    assert done.returncode == exit_code, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def redis_cli(gate, *argv, **options):
    """redis-cli on respgate's port."""
    return run_tool("redis-cli", "-p", str(gate.port), *argv, **options)


# ---- redis-cli ----


def test_cli_session(respgate):
    script = "SET a 1\nINCR a\nSELECT 3\nGET a\nMULTI\nINCR b\nEXEC\nNO SUCH\nPING\n"
    assert redis_cli(respgate, stdin=script).split("\n") == [
        "OK", "2", "OK", "", "OK", "QUEUED", "1",
        "ERR unknown command 'NO', with args beginning with: 'SUCH' ", "", "PONG", ""]
    assert redis_cli(respgate, "-n", "3", "GET", "b") == "1\n"
    assert redis_cli(respgate, "-r", "5", "INCR", "repeated") == "1\n2\n3\n4\n5\n"
    assert redis_cli(respgate, "--eval", "/dev/stdin", "k", ",", "v", stdin="return {KEYS[1], ARGV[1]}") == "k\nv\n"


def test_cli_resp3(respgate):
    redis_cli(respgate, "ZADD", "z", "1", "a", "2.5", "b")
    redis_cli(respgate, "HSET", "h", "field", "value")
    assert redis_cli(respgate, "-3", "--json", "ZRANGE", "z", "0", "-1", "WITHSCORES") == '[["a",1],["b",2.5]]\n'
    assert redis_cli(respgate, "-3", "--json", "HGETALL", "h") == '{"field":"value"}\n'
    assert redis_cli(respgate, "-2", "ZRANGE", "z", "0", "-1", "WITHSCORES") == "a\n1\nb\n2.5\n"


def test_cli_pipe(respgate, tmp_path):
    """100,000 commands, some of them errors and one reply in each thousand large."""
    commands = [encode("SET", f"key:{n}", "v" * (5000 if n % 1000 == 0 else 5)) for n in range(PIPED_COMMANDS - 2)]
    commands[500:500] = [encode("LPUSH", "key:1", "x"), encode("INCR", "key:1", "x")]
    path = tmp_path / "commands"
    path.write_bytes(b"".join(commands))
    with open(path, "rb") as file:
        said = redis_cli(respgate, "--pipe", stdin=file, exit_code=1)
    assert f"errors: 2, replies: {PIPED_COMMANDS}" in said
    assert "WRONGTYPE" in said and "wrong number of arguments" in said
    assert redis_cli(respgate, "DBSIZE") == f"{PIPED_COMMANDS - 2}\n"


def test_cli_scan_and_bigkeys(respgate):
    names = {f"scan:{n}" for n in range(3000)}
    redis_cli(respgate, "--pipe", stdin="".join(f"SET {name} v\r\n" for name in names))
    redis_cli(respgate, "RPUSH", "biggest", *map(str, range(50)))
    assert set(redis_cli(respgate, "--scan").split()) == names | {"biggest"}
    assert set(redis_cli(respgate, "--scan", "--pattern", "scan:1?").split()) == {f"scan:1{n}" for n in range(10)}
    big = redis_cli(respgate, "--bigkeys")
    assert "Sampled 3001 keys in the keyspace!" in big
    assert re.search(r"Biggest +list found ['\"]+biggest['\"]+ has 50 items", big), big
    assert "Sampled 3001 keys in the keyspace!" in redis_cli(respgate, "--memkeys")


def test_cli_monitor_and_subscribe(respgate):
    for argv, ready, act, expected in (
            (["MONITOR"], "OK", ("SET", "watched", "yes"), '"SET" "watched" "yes"'),
            (["SUBSCRIBE", "news"], "subscribe", ("PUBLISH", "news", "hello"), "hello"),
            (["-3", "PSUBSCRIBE", "n*"], "psubscribe", ("PUBLISH", "news", "there"), "there")):
        path = respgate.directory / "cli-output"
        with open(path, "w+", encoding="utf-8") as output:
            child = subprocess.Popen(["redis-cli", "-p", str(respgate.port), *argv], stdin=subprocess.DEVNULL,
                                     stdout=output, stderr=output)
            try:
                wait_until(lambda ready=ready: ready in path.read_text(), 10, f"{argv} to begin")
                redis_cli(respgate, *act)
                wait_until(lambda expected=expected: expected in path.read_text(), 10, f"{argv} to show {expected}")
            finally:
                child.kill()
                child.wait()


def test_cli_latency(respgate):
    """One sampling interval of a tenth of a second: least, greatest and average in ms, and how many."""
    said = redis_cli(respgate, "--latency", "-i", "0.1", "--csv").strip().split("\n")[-1]
    least, greatest, average, samples = map(float, said.split(","))
    assert 0 <= least <= average <= greatest < 10_000 and samples >= 1


def test_cli_cannot_take_a_dump(respgate, tmp_path):
    """Replication is not for a connection that is shared: refused by name, and respgate is none the worse for it."""
    for option in ("--rdb", "--functions-rdb"):
        said = redis_cli(respgate, option, str(tmp_path / "dump.rdb"), exit_code=1, timeout=20)
        assert "ERR respgate: 'replconf' is refused by policy" in said
    assert "ERR respgate: 'sync' is refused by policy" in redis_cli(respgate, "SYNC", exit_code=1)
    assert redis_cli(respgate, "PING") == "PONG\n"


# ---- redis-benchmark ----


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("options", [[], ["-P", "16"], ["-3", "-P", "16"]], ids=["plain", "pipelined", "RESP3"])
def test_benchmark(redis_server, start_respgate, options, workers):
    gate = start_respgate(redis_server, settings={"listen.workers": workers})
    said = run_tool("redis-benchmark", "-p", str(gate.port), "-n", "2000", "--csv", *options, timeout=120)
    assert "rror" not in said and "WARN" not in said, said
    rows = {row["test"]: row for row in csv.DictReader(said.splitlines())}
    assert set(rows) - {"XADD"} == BENCHMARKS  # Redis 8's has one more
    for row in rows.values():
        assert all(float(value) > 0 for name, value in row.items() if name != "test"), row
    served = re.search(rb"total_commands_processed:(\d+)", redis_server.call("INFO", "stats"))
    assert int(served[1]) >= 2000 * len(BENCHMARKS)


# ---- hiredis ----


def hiredis_client():
    """The program that the build of the binary under test made, or the ordinary build's."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        program = build / "tests" / "clients" / "hiredis_client"
        if program.exists():
            return str(program)
    raise FileNotFoundError("tests/clients/hiredis_client is not built: tests do not skip")


@pytest.mark.threads
@pytest.mark.parametrize("way", ["one worker", "two workers", "unix sockets"])
def test_hiredis(start_redis, start_respgate, tmp_path, way):
    server = start_redis(unixsocket=True)
    path = tmp_path / "gate.sock"
    gate = start_respgate(server.unix_url() if way == "unix sockets" else server,
                          env={"RESPGATE_LISTEN_UNIX_SOCKET": str(path)},
                          settings={"listen.workers": 2 if way == "two workers" else 1})
    said = run_program([hiredis_client(), str(path if way == "unix sockets" else gate.port)], server)
    assert re.search(r"^hiredis: \d{5,} checks, 0 failed$", said, re.M), said
