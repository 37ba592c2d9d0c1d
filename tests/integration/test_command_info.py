"""COMMAND, COUNT, INFO, DOCS, LIST and GETKEYS name respgate's own commands beside those of a real Redis, in its shapes,
and otherwise say what it says; client libraries and redis-cli make sense of it."""

import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import termios
import time

import pytest
import redis
from redis.cluster import CommandsParser

from bounds import KIB, MIB, forget_peak, peak, settled
from command_own import OWN, entries, same_shape, without_own
from harness import free_port, wait_until
from wire import decode

UNREAD_MAX = 2 * MIB
READS = {"sem.check", "sem.count", "sem.holders"}
# An entry of Redis 7.0 that tells the same of its keys.
LIKE = {name: "zcard" if name in READS else "incr" for name in OWN} | {
    "lim.multi": "zunion", "lim.reset": "del", "lim.try": "randomkey"}


@pytest.fixture(params=[2, 3])
def sides(request, respgate, redis_server):
    """(protocol, a connection through respgate, one straight to Redis)."""
    connections = respgate.connect(), redis_server.connect()
    for connection in connections:
        connection.call("HELLO", request.param)
    yield (request.param, *connections)
    connections[1].close()


def raw(connection, *command):
    """One reply as it came."""
    connection.command(*command)
    return connection.read_reply()


def head(reply):
    """Its type and count."""
    return reply[: reply.index(b"\r\n")]


def names_of(told):
    """The names of entries of COMMAND."""
    return [entry[0].decode() for entry in told]


# ---- what it says ----

@pytest.mark.parametrize("command", [("COMMAND",), ("COMMAND", "INFO"), ("COMMAND", "LIST"), ("COMMAND", "DOCS")])
def test_ours_come_behind_all_of_the_server_s(sides, command):
    _, gate, direct = sides
    paired = command[-1] == "DOCS"
    proxied, alone = raw(gate, *command), raw(direct, *command)
    told = entries(proxied, paired)
    assert [name for name, _ in told[-len(OWN):]] == OWN
    assert sorted(told[: -len(OWN)]) == sorted(entries(alone, paired))
    assert head(without_own(proxied, paired)) == head(alone)


def test_all_say_the_same(sides):
    protocol, gate, direct = sides
    count = direct.call("COMMAND", "COUNT")
    everything = gate.call("COMMAND")
    names = names_of(everything)
    assert gate.call("COMMAND", "COUNT") == len(names) == len(set(names)) == count + len(OWN)
    assert set(OWN) <= set(names)
    listed = {name.decode() for name in gate.call("COMMAND", "LIST")}
    assert {name for name in listed if "|" not in name} == set(names)
    docs = gate.call("COMMAND", "DOCS")
    documented = docs if protocol == 3 else docs[::2]
    assert {name.decode() for name in documented} == set(names)
    assert names_of(gate.call("COMMAND", "INFO", *names)) == names


def pairs(value):
    """The items of a map of either protocol."""
    return list(value.items() if isinstance(value, dict) else zip(value[::2], value[1::2]))


def places(spec):
    """A key specification without what becomes of the keys."""
    return [pair for pair in pairs(spec) if pair[0] != b"flags"]


@pytest.mark.parametrize("name", OWN)
def test_an_entry_has_the_shape_of_the_server_s(sides, name):
    _, gate, direct = sides
    entry, like = raw(gate, "COMMAND", "INFO", name), raw(direct, "COMMAND", "INFO", LIKE[name])
    assert same_shape(entry, like)
    ours, theirs = decode(entry)[0], decode(like)[0]
    assert (ours[0], len(ours)) == (name.encode(), 10)
    assert ours[3:6] == theirs[3:6], "first and last key, step"
    assert [places(spec) for spec in ours[8]] == [places(spec) for spec in theirs[8]]
    assert ("readonly" in ours[2], "@read" in ours[6]) == (name in READS, name in READS)
    assert ("write" in ours[2], "@write" in ours[6]) == (name not in READS, name not in READS)


@pytest.mark.parametrize("name", OWN)
def test_docs_have_the_shape_of_the_server_s(sides, name):
    """COMMAND DOCS SET and MSET together have arguments of every kind."""
    protocol, gate, direct = sides

    def fields(argument, found):
        for field, value in pairs(argument):
            if field == b"arguments":
                assert isinstance(value, list) and value
                for inner in value:
                    fields(inner, found)
            found.add((field, type(value)))
            if field == b"type":
                found.add((field, value))
        return found

    known = set()
    for _, docs in pairs(direct.call("COMMAND", "DOCS")):
        known |= fields(docs, set())
    (told, docs), = pairs(gate.call("COMMAND", "DOCS", name))
    assert told.decode() == name
    assert fields(docs, set()) - known <= {(b"display_text", bytes)}, "of Redis 7.2"
    assert head(raw(gate, "COMMAND", "DOCS", name)) == (b"%1" if protocol == 3 else b"*2")


def test_names_are_answered_in_their_places(sides):
    _, gate, direct = sides
    asked = ["LIM.TRY", "get", "Sem.Count", "nosuch", "client|kill", "lim.try", "set"]
    told = gate.call("COMMAND", "INFO", *asked)
    for name, entry in zip(asked, told):
        if name.lower() in OWN:
            assert names_of([entry]) == [name.lower()]
        else:
            assert [entry] == direct.call("COMMAND", "INFO", name)
    assert raw(gate, "COMMAND", "INFO", "get", "nosuch") == raw(direct, "COMMAND", "INFO", "get", "nosuch")
    assert names_of(gate.call("COMMAND", "INFO", "sem.renew", "INCREX")) == ["sem.renew", "increx"]


def test_docs_of_names(sides):
    _, gate, direct = sides
    both = raw(gate, "COMMAND", "DOCS", "LIM.GCRA", "nosuch", "get")
    assert [name for name, _ in entries(both, paired=True)] == ["get", "lim.gcra"]
    assert without_own(both, paired=True) == raw(direct, "COMMAND", "DOCS", "get")
    assert raw(gate, "COMMAND", "DOCS", "get", "nosuch") == raw(direct, "COMMAND", "DOCS", "get", "nosuch")


# ---- filters ----

def test_a_pattern_selects_as_keys_does(sides):
    """The server's own matcher is the judge: KEYS, of keys that are called like our commands."""
    _, gate, direct = sides
    direct.call("MSET", *(word for name in OWN for word in (name, "")))
    rng = random.Random(7)
    bits = ["*", "*", "?", "[lis]", "[^c]", "[a-m]", "[z-a]", "[^a-l]", "[.]", "\\", "[", "]", "-", "^", *"lims.mcrty.."]
    patterns = ["*", "lim.*", "sem.[cr]*", "*[", "[", "[^", "\\", "*\\", "[a-", "[\\", "x]", "*.*.*"]
    patterns += ["".join(rng.choice(bits) for _ in range(rng.randint(1, 5))) + rng.choice(["", "*", "*"]) for _ in range(600)]
    selected = 0
    for pattern in patterns:
        listed = [name for name in gate.call("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern) if name.decode() in OWN]
        assert sorted(listed) == sorted(direct.call("KEYS", pattern)), pattern
        selected += bool(listed)
    assert selected > 60, "most patterns select nothing: this compares too little"
    assert gate.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "LIM.GC*") == [b"lim.gcra"]


def test_categories_are_those_of_the_entries(sides):
    _, gate, direct = sides
    categories = {entry[0]: {word[1:] for word in entry[6]} for entry in gate.call("COMMAND")}
    for category in [name.decode() for name in direct.call("ACL", "CAT")] + ["nosuch", "@read", "WRITE"]:
        listed = gate.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", category)
        assert {name for name in listed if name.decode() in OWN} == {
            name for name, words in categories.items() if name.decode() in OWN and category.lower() in words}
        theirs = [name for name in listed if name.decode() not in OWN]
        assert sorted(theirs) == sorted(direct.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", category))


@pytest.mark.parametrize("command", [
    ("COMMAND", "LIST", "FILTERBY", "MODULE", "respgate"), ("COMMAND", "LIST", "FILTERBY", "PATTERN"),
    ("COMMAND", "LIST", "FILTERBY", "PATTERN", "*", "x"), ("COMMAND", "LIST", "BY", "PATTERN", "*"),
    ("COMMAND", "COUNT", "x"), ("COMMAND", "NOSUCH"), ("COMMAND", "GETKEYS"), ("COMMAND", "GETKEYS", "PING", "x"),
    ("COMMAND", "GETKEYS", "GET", "k"), ("COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v"), ("COMMAND", "HELP")])
def test_what_is_not_about_ours_is_the_server_s(sides, command):
    _, gate, direct = sides
    assert raw(gate, *command) == raw(direct, *command)


# ---- GETKEYS ----

NO_KEYS = "ERR The command has no key arguments"
ARITY = "ERR Invalid number of arguments specified for command"
INVALID = "ERR Invalid arguments specified for command"


@pytest.mark.parametrize("call,like", [
    (("LIM.RESET", "a", "b", "c"), ("DEL", "a", "b", "c")), (("INCREX", "k", "BYINT", 5), ("INCR", "k")),
    (("CL.THROTTLE", "k", 1, 1, 1), ("INCR", "k")), (("sem.release", b"\r\n\0", "t"), ("ZREM", b"\r\n\0", "t")),
    (("SEM.ACQUIRE", "k" * 30000, 1, 1, "t"), ("INCR", "k" * 30000))])
def test_keys_are_told_as_the_server_tells_its_own(sides, call, like):
    _, gate, direct = sides
    assert raw(gate, "COMMAND", "GETKEYS", *call) == raw(direct, "COMMAND", "GETKEYS", *like)
    assert raw(gate, "COMMAND", "GETKEYSANDFLAGS", *call) == raw(direct, "COMMAND", "GETKEYSANDFLAGS", *like)


@pytest.mark.parametrize("call,reply", [
    (("LIM.MULTI", 2, "a", "b", "SEM", 1, 1000, "t"), [b"a", b"b"]), (("SEM.COUNT", "k"), [b"k"]),
    (("LIM.MULTI", 9, "a", "b", "SEM", 1, 1000, "t"), INVALID), (("LIM.MULTI", 0, "a", "b", "SEM", 1), INVALID),
    (("LIM.MULTI", "x", "a", "b", "SEM", 1), INVALID), (("LIM.TRY", "rule", "x"), NO_KEYS), (("LIM.TRY",), NO_KEYS),
    (("LIM.GCRA", "k", 1, 1), ARITY), (("SEM.COUNT", "k", "x"), ARITY), (("INCREX",), ARITY)])
def test_keys(sides, call, reply):
    _, gate, _ = sides
    assert gate.call("COMMAND", "GETKEYS", *call) == reply


def test_many_keys(sides):
    _, gate, _ = sides
    keys = [b"key:%d" % n for n in range(3000)]
    assert gate.call("COMMAND", "GETKEYS", "LIM.RESET", *keys) == keys
    assert gate.call("COMMAND", "GETKEYS", "LIM.MULTI", len(keys), *keys, "GCRA", 1, 1, 1) == keys


def test_a_call_too_large_to_be_held_passes_as_it_is(sides):
    """Above stream_threshold."""
    _, gate, _ = sides
    assert gate.call("COMMAND", "INFO", *["lim.try"] * 30000) == [None] * 30000
    assert gate.call("COMMAND", "GETKEYS", "SET", "k", "v" * 300000) == [b"k"]


# ---- in their order, and where they pass as they are ----

def test_a_pipeline_keeps_its_order(sides):
    _, gate, direct = sides
    count = direct.call("COMMAND", "COUNT") + len(OWN)
    commands = [("SET", "k", 1), ("COMMAND", "COUNT"), ("INCR", "k"), ("COMMAND",), ("INCR", "k"), ("COMMAND", "DOCS"),
                ("COMMAND", "GETKEYS", "SEM.COUNT", "k"), ("INCR", "k"), ("COMMAND", "INFO", "lim.try", "get"),
                ("COMMAND", "INFO", "lim.try"), ("INCR", "k")]
    for command in commands:
        gate.command(*command)
    replies = [gate.read_value() for _ in commands]
    assert [replies[i] for i in (0, 1, 2, 4, 6, 7, 10)] == ["OK", count, 2, 3, [b"k"], 4, 5]
    assert len(replies[3]) == count and names_of(replies[8]) == ["lim.try", "get"]


def test_a_transaction_has_the_server_s_own_answer(sides):
    _, gate, direct = sides
    commands = [("MULTI",), ("COMMAND", "COUNT"), ("COMMAND", "INFO", "lim.try"), ("EXEC",)]
    expected = [direct.call("COMMAND", "COUNT"), [None]]
    for command in commands[:-1]:  # step by step
        gate.call(*command)
    assert gate.call("EXEC") == expected
    for command in commands:  # in one write
        gate.command(*command)
    assert [gate.read_value() for _ in commands] == ["OK", "QUEUED", "QUEUED", expected]
    assert gate.call("COMMAND", "COUNT") == expected[0] + len(OWN)


def test_a_watching_client_has_ours_and_keeps_its_watch(sides):
    _, gate, direct = sides
    assert gate.call("WATCH", "w") == "OK"
    assert gate.call("COMMAND", "COUNT") == direct.call("COMMAND", "COUNT") + len(OWN)
    assert names_of(gate.call("COMMAND", "INFO", "get", "lim.try")) == ["get", "lim.try"]
    direct.call("SET", "w", 1)
    for command in ("MULTI", "PING"):
        gate.call(command)
    assert gate.call("EXEC") is None
    gate.call("WATCH", "w")
    gate.call("SELECT", 3)  # from now on the session is the connection's
    assert gate.call("COMMAND", "COUNT") == direct.call("COMMAND", "COUNT")


def test_a_subscriber(sides):
    protocol, gate, direct = sides
    for connection in (gate, direct):
        connection.call("SUBSCRIBE", "c")
    for command in (("COMMAND",), ("COMMAND", "COUNT"), ("COMMAND", "INFO", "lim.try"),
                    ("COMMAND", "GETKEYS", "SEM.COUNT", "k")):
        mine, theirs = gate.call(*command), direct.call(*command)
        if protocol == 2:
            assert mine == theirs and mine.startswith("ERR Can't execute 'command")
    if protocol == 3:
        assert mine == [b"k"]


def test_a_muted_client_gets_nothing(sides):
    _, gate, direct = sides
    commands = [("COMMAND",), ("COMMAND", "COUNT"), ("COMMAND", "INFO", "lim.try"), ("COMMAND", "DOCS", "lim.try", "get"),
                ("COMMAND", "GETKEYS", "SEM.COUNT", "k"), ("COMMAND", "LIST")]
    gate.command("CLIENT", "REPLY", "OFF")
    for command in commands:
        gate.command(*command)
    assert gate.call("CLIENT", "REPLY", "ON") == "OK"
    for command in commands:
        gate.command("CLIENT", "REPLY", "SKIP")
        gate.command(*command)
        assert gate.call("ECHO", "in step") == b"in step"
    assert gate.call("COMMAND", "COUNT") == direct.call("COMMAND", "COUNT") + len(OWN)


def test_an_inline_command(sides):
    _, gate, _ = sides
    gate.send(b"command info LIM.TRY\r\ncommand getkeys sem.count k\r\n")
    assert names_of(gate.read_value()) == ["lim.try"]
    assert gate.read_value() == [b"k"]


@pytest.mark.parametrize("command", ["COMMAND", "COMMAND DOCS"])
def test_a_client_that_reads_late_gets_all(respgate, redis_server, command):
    """Far more than is held for a client: 60 replies; then others still get theirs, and so does it."""
    late, other = respgate.connect(), respgate.connect()
    for _ in range(60):
        late.command(*command.split())
        late.command("ECHO", "between")
    wait_until(lambda: other.call("PING") == "PONG", what="the other to be served")
    one = raw(other, *command.split())
    for _ in range(60):
        reply = late.read_reply()
        assert len(reply) == len(one) and reply.count(b"lim.try") == 1
        assert late.read_value() == b"between"


@pytest.mark.figures
def test_replies_that_are_not_read_are_not_held(respgate, figure):
    """Sixty megabytes of them."""
    client = respgate.connect()
    client.call("COMMAND", "DOCS")
    base = forget_peak(respgate.pid)
    for _ in range(300):
        client.command("COMMAND", "DOCS")
    settled(lambda: peak(respgate.pid))
    extra = peak(respgate.pid) - base
    figure(f"300 times COMMAND DOCS, not read, cost {extra / KIB:.0f} KiB (at most {UNREAD_MAX / KIB:.0f})")
    assert extra <= UNREAD_MAX
    assert len({client.read_reply().count(b"lim.try") for _ in range(300)}) == 1
    assert client.call("PING") == "PONG"


def test_the_ledger_counts_commands_and_not_our_questions(respgate):
    client = respgate.connect()
    for command in (("COMMAND",), ("COMMAND", "COUNT"), ("COMMAND", "INFO", "lim.try"), ("COMMAND", "INFO", "get"),
                    ("COMMAND", "INFO", "get", "lim.try"), ("COMMAND", "GETKEYS", "SEM.COUNT", "k"),
                    ("COMMAND", "LIST", "FILTERBY", "PATTERN", "lim.*")):
        client.call(*command)
    respgate.finish()
    ledger = respgate.stats_at_exit()
    assert (ledger["accepted"], ledger["replied"]) == (7, 7)


# ---- what client libraries make of it ----

def test_redis_py(respgate):
    client = redis.Redis.from_url(respgate.url())
    told = client.command()
    assert set(OWN) <= set(told) and len(told) == client.command_count()
    assert told["lim.window"] == {
        "name": "lim.window", "arity": -4, "flags": ["write", "denyoom"], "first_key_pos": 1, "last_key_pos": 1,
        "step_count": 1, "tips": [], "subcommands": [], "key_specifications": told["incr"]["key_specifications"]}
    assert told["lim.reset"]["key_specifications"] == told["del"]["key_specifications"]
    assert {name.decode() for name in client.command_list(pattern="sem.*")} == {n for n in OWN if n.startswith("sem.")}
    assert client.command_getkeys("LIM.MULTI", 2, "a", "b", "GCRA", 1, 1, 1) == ["a", "b"]
    assert client.command_getkeysandflags("SEM.COUNT", "k") == [[b"k", [b"RO", b"access"]]]
    client.close()


def test_redis_py_finds_keys_as_its_cluster_client_does(respgate):
    client = redis.Redis.from_url(respgate.url())
    parser = CommandsParser(client)
    assert parser.get_keys(client, "LIM.GCRA", "k", 5, 5, 1000) == ["k"]
    assert parser.get_keys(client, "SEM.RELEASE", "k", "t1", "t2") == ["k"]
    assert parser.get_keys(client, "LIM.RESET", "a", "b") == ["a", "b"]
    assert parser.get_keys(client, "LIM.MULTI", 2, "{x}a", "{x}b", "GCRA", 1, 1, 1) == ["{x}a", "{x}b"]
    assert parser.get_keys(client, "LIM.TRY", "rule", "x") is None
    assert parser.get_keys(client, "SET", "k", "v") == ["k"]
    client.close()


def test_a_cluster_client_sends_ours_to_the_node_of_the_key(start_redis, start_respgate):
    """The node announces respgate's address, so that all that RedisCluster learns, it learns through respgate."""
    server = start_redis(config={"cluster-enabled": "yes", "cluster-port": free_port()})
    server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: b"cluster_state:ok" in server.call("CLUSTER", "INFO"), what="the cluster")
    gate = start_respgate(server)
    server.call("CONFIG", "SET", "cluster-announce-ip", "127.0.0.1")
    server.call("CONFIG", "SET", "cluster-announce-port", gate.port)
    client = redis.RedisCluster(host="127.0.0.1", port=gate.port)
    assert client.set("k", "v") and client.get("k") == b"v"
    assert client.determine_slot("SEM.COUNT", "foo") == 12182
    assert client.determine_slot("LIM.MULTI", 1, "foo", "GCRA", 1, 1, 1) == 12182
    assert [node.port for node in client.get_nodes()] == [gate.port]
    client.close()


def on_a_terminal(argv, typed):
    """What a program shows on a terminal, without colours and cursor movements. What is typed before it prompts is lost:
    each line waits for what the one before brings."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm", "HOME": "/nonexistent"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    shown = b""
    try:
        for line, awaited in typed:
            os.write(terminal, line)
            deadline, mark = time.monotonic() + 10, len(shown)
            while not re.search(awaited, shown[mark:]):
                left = max(deadline - time.monotonic(), 0)
                assert select.select([terminal], [], [], left)[0], (awaited, shown[mark:])
                shown += os.read(terminal, 65536)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    return re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", shown).decode()


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_redis_cli_helps_with_ours(respgate, protocol):
    argv = ["redis-cli", "-p", str(respgate.port), protocol]
    shown = on_a_terminal(argv, [
        (b"", rb"> $"), (b"help lim.gcra\r", rb"(?s)group:.*module.*> $"), (b"help get\r", rb"(?s)group:.*string.*> $"),
        (b"SEM.RENEW k ", rb"token lease-ms \[fence\]")])
    assert "LIM.GCRA key limit count period-ms [COST cost] [PEEK|PARTIAL] [DELAY milliseconds] [IDEM id]" in shown
    assert re.search(r"summary: (Get|Returns) the (string )?value of a key", shown), shown
