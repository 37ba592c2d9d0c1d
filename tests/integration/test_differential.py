"""Proves that an application cannot tell respgate from its Redis: every command of Redis 7.0, good and bad, in RESP2
and RESP3, and conversations of several steps, sent to one Redis directly and through respgate, reply for reply.

Both sides use the same server, prepared anew before each case, so that hash seeds, versions and limits are one. Replies
are equal byte for byte, except for the list in differential/exceptions.py and commands refused by policy, whose text is
checked. The list must be exact: an entry that no reply needed fails as well.
"""

import csv
import os
from dataclasses import replace

import pytest

from differential.exceptions import Ledger
from differential.script import Case, command_cases, conversations, parse_step
from differential.sides import Control, Side, Transcript
from harness import ROOT, RedisServer, Respgate

pytestmark = pytest.mark.redis7
COMMAND_FILES = ("strings.txt", "collections.txt", "streams.txt", "server.txt")
CONVERSATION_FILES = ("conversations.txt", "subscriptions.txt", "protocol.txt")
GROUPS = [(name, protocol) for name in COMMAND_FILES + CONVERSATION_FILES for protocol in (2, 3)]
SERVER = {"slowlog-log-slower-than": -1, "hz": 500, "activerehashing": "no"}
PASSWORD = "pw-default"
USERS = {"requirepass": PASSWORD,
         "user": ["bob on >pw-bob ~k* ~s ~l ~h ~nokey &c* +@all -flushall -config", "off off >pw-off ~* +@all"]}
QUIET = {"health.interval": "1h"}  # MONITOR shows respgate's own checks as well
SHOWN = 25

# Commands that this server never carries out (no cluster, no module, nothing to debug, containers by themselves) ...
ONLY_BAD = {"acl", "acl|load", "acl|save", "asking", "client", "config", "debug", "function", "function|kill",
            "latency", "latency|graph", "memory", "module", "module|load", "module|loadex", "module|unload", "object",
            "pubsub", "readonly", "readwrite", "script", "script|kill", "slowlog", "xgroup", "xinfo"}
# ... and such that take any arguments.
ONLY_GOOD = {"command|docs", "command|info", "info", "latency|histogram", "latency|reset", "pubsub|numsub",
             "pubsub|shardnumsub", "punsubscribe", "quit", "sunsubscribe"}


@pytest.fixture(scope="module")
def ledger():
    """What all tests of this file compared."""
    return Ledger()


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """(direct, proxied, control): one Redis, and respgate in front of it with its defaults but for how often it checks."""
    yield from run_sides(tmp_path_factory.mktemp("differential"), SERVER, QUIET)


def run_sides(directory, config, settings, login=(), gate_login=""):
    """A server, respgate with `settings`, both ended afterwards and respgate's ledger checked."""
    server = RedisServer(directory, config=config)
    gate = Respgate(directory, server.url(password=gate_login), settings=settings)
    try:
        server.start()
        control = Control(server, login)
        gate.start()
        yield Side(server, control), Side(gate, control), control
        gate.finish()
    finally:
        gate.kill()
        server.kill()


def classes():
    """{"client|kill": row} of the command table."""
    table = {}
    with open(ROOT / "protocol" / "commands.tsv", newline="") as tsv:
        for row in csv.DictReader(tsv, delimiter="\t", quoting=csv.QUOTE_NONE):
            name = row["command"].lower()
            table[name if row["subcommand"] == "-" else f"{name}|{row['subcommand'].lower()}"] = row
    return table


def differences(case, ledger, direct, proxied):
    """Compare two transcripts of a case; the differences as text."""
    found = []
    for (sent, row, allowed, one), (_, _, _, other) in zip(direct.replies, proxied.replies):
        if ledger.equal(row, allowed, one, other):
            ledger.count(row, one)
        else:
            at = max(len(os.path.commonprefix([one, other])) - 20, 0) if len(one) > 600 else 0
            found.append(f"[{case.name[:100]}] {sent}, {len(one)} and {len(other)} bytes, from {at}:\n"
                         f"    redis:    {one[at:at + 600]!r}\n    respgate: {other[at:at + 600]!r}")
    if len(direct.replies) != len(proxied.replies) or direct.broken != proxied.broken:
        found.append(f"[{case.name[:100]}] {len(direct.replies)} replies, {direct.broken or 'whole'}; through respgate "
                     f"{len(proxied.replies)}, {proxied.broken or 'whole'}")
    elif direct.broken:
        found.append(f"[{case.name[:100]}] breaks off on both sides, the case is wrong: {direct.broken}")
    return found


def compare(cases, protocol, ledger, sides):
    """Run cases on both sides and fail with what differs."""
    direct, proxied = sides[:2]
    found = []
    for case in cases:
        if protocol in case.protocols:
            found += differences(case, ledger, direct.run(case, protocol), proxied.run(case, protocol))
    assert not found, f"{len(found)} differences\n" + "\n".join(found[:SHOWN])


@pytest.mark.parametrize("name,protocol", GROUPS)
def test_same_replies(name, protocol, ledger, sides):
    read = command_cases if name in COMMAND_FILES else conversations
    ledger.groups.add((name, protocol))
    compare(read(name), protocol, ledger, sides)


@pytest.mark.parametrize("steps", [("a> MULTI", "a> CLUSTER RESET", "a> SET k v", "a> EXEC", "a> GET k"),
                                   ("a> MULTI ;; CLUSTER RESET ;; SET k v ;; EXEC ;; GET k",)])
def test_refused_within_a_transaction(steps, sides):
    """As any error at queueing does, a refusal makes EXEC fail, and nothing of the transaction runs."""
    replies = sides[1].run(Case("refused", [parse_step(step) for step in steps]), 2).replies
    assert [raw for *_, raw in replies] == [
        b"+OK\r\n", b"-ERR respgate: 'cluster|reset' is refused by policy (see refuse-commands)\r\n", b"+QUEUED\r\n",
        b"-EXECABORT Transaction discarded because of previous errors.\r\n", b"$-1\r\n", b"+OK\r\n<closed>"]


@pytest.mark.parametrize("protocol", (2, 3))
def test_refused_commands_that_are_allowed(protocol, ledger, tmp_path):
    for sides in run_sides(tmp_path, SERVER, {"listen.refuse_commands": "none"}):
        compare(command_cases("refused.txt"), protocol, ledger, sides)


# What decides about a login: respgate with the same password, or the server, which knows users as well.
LOGINS = {"password": ({"listen.auth": "password", "listen.password": PASSWORD}, PASSWORD, ("passwords.txt",)),
          "backend": ({"listen.auth": "backend"}, "", ("passwords.txt", "users.txt"))}


@pytest.mark.parametrize("protocol", (2, 3))
@pytest.mark.parametrize("mode", LOGINS)
def test_same_logins(mode, protocol, ledger, tmp_path):
    settings, gate_login, files = LOGINS[mode]
    cases = [case for name in files for case in conversations(name)]
    ledger.groups.add((mode, protocol))
    for sides in run_sides(tmp_path, {**SERVER, **USERS}, settings, (PASSWORD,), gate_login):
        compare([by_hello(case) for case in cases] if protocol == 3 else cases, protocol, ledger, sides)


def by_hello(case):
    """The same case with HELLO 3 AUTH in place of AUTH."""
    steps = [replace(step, commands=[hello_for(command) for command in step.commands]) for step in case.steps]
    return replace(case, steps=steps)


def hello_for(command):
    """HELLO 3 AUTH user password for AUTH [user] password, any other command as it is."""
    if command[0] != b"AUTH" or len(command) not in (2, 3):
        return command
    return [b"HELLO", b"3", b"AUTH", *([b"default"] if len(command) == 2 else []), *command[1:]]


def test_refused_by_policy(ledger, sides):
    """REFUSE rows never reach the server; the refusal names the command and the policy."""
    _, proxied, control = sides
    for name, row in classes().items():
        if row["class"] != "REFUSE" or name not in control.rows:
            continue
        for protocol in (2, 3):
            case = Case(name, [parse_step("a> " + name.replace("|", " ").upper() + " x y")])
            replies = proxied.run(case, protocol).replies
            expected = b"-ERR respgate: '%s' is refused by policy (see refuse-commands)\r\n" % name.encode()
            assert replies[0][3] == expected and replies[1][3] == b"+OK\r\n<closed>", replies
        ledger.refused[name] = row["note"]


def test_every_command_and_every_exception_was_used(ledger, sides, figure):
    """Runs last: coverage against the live command list and the table, and the exactness of the list."""
    control = sides[2]
    table = classes()
    seen_in_7_0 = {name for name, row in table.items() if "r7.0" in row["seen_in"].split(",") and "*" not in name}
    gone = {name for name in seen_in_7_0 - control.rows if not name.startswith("sentinel|")}
    assert not gone, f"in the table, not in Redis: {sorted(gone)}"
    assert control.rows <= set(table) | {name.split("|")[0] for name in table}, "in Redis, not in the table"
    logins = {(mode, protocol) for mode in LOGINS for protocol in (2, 3)}
    assert ledger.groups == {*GROUPS, *logins} and ledger.refused, "this test needs the others of its file"
    missing = control.rows - set(ledger.replies) - set(ledger.refused)
    assert not missing, f"no case for {sorted(missing)}"
    by_default = {name: counts for name, counts in ledger.replies.items() if name not in ledger.refused}
    no_good = {name for name, (good, _) in by_default.items() if not good and not name.startswith("cluster")}
    no_bad = {name for name, (_, bad) in by_default.items() if not bad}
    assert no_good == ONLY_BAD, f"good replies only or none, unlike the list: {sorted(no_good ^ ONLY_BAD)}"
    assert no_bad == ONLY_GOOD, f"bad replies only or none, unlike the list: {sorted(no_bad ^ ONLY_GOOD)}"
    assert not ledger.unused(), f"exceptions nobody needed: {ledger.unused()}"
    covered = len(control.rows & set(ledger.replies))
    figure(f"differential: {ledger.compared} replies of Redis and through respgate compared, {covered} of "
           f"{len(control.rows)} commands of Redis 7.0 in RESP2 and RESP3; equal byte for byte but {ledger.excused} "
           f"excused by a list of {len(ledger.entries)} exceptions; {len(ledger.refused)} commands refused by policy")


# ---- that the comparison bites ----

OK, NO = b"+OK\r\n", b"-ERR no\r\n"
CASE = Case("made up", [])


def transcript(*replies, broken=None):
    """A transcript of (command row, raw reply)."""
    made = Transcript()
    for row, raw in replies:
        made.add("sent", row, (), raw)
    made.broken = broken
    return made


@pytest.mark.parametrize("direct,proxied", [
    (transcript(("set", OK)), transcript(("set", NO))),
    (transcript(("set", OK), ("set", OK)), transcript(("set", OK))),
    (transcript(("set", OK)), transcript(("set", OK), broken="late")),
    (transcript(("set", OK), broken="late"), transcript(("set", OK), broken="late")),
    (transcript(("get", b":1\r\n")), transcript(("get", b":2\r\n"))),
    (transcript(("time", b"*2\r\n$10\r\n1700000000\r\n$1\r\n1\r\n")), transcript(("time", b"*1\r\n$1\r\n1\r\n"))),
    (transcript(("info", b"$15\r\ntcp_port:637911\r\n")), transcript(("info", b"$15\r\ntcp_port:637912\r\n"))),
    (transcript(("client|info", b"$9\r\nid=1 db=0\r\n")), transcript(("client|info", b"$9\r\nid=2 db=1\r\n"))),
])
def test_a_difference_is_found(direct, proxied):
    assert differences(CASE, Ledger(), direct, proxied)


def test_a_listed_difference_is_used_only_where_it_is_listed():
    ledger = Ledger()
    one, other = b":1\r\n", b":2\r\n"
    assert "client-id" in ledger.unused()
    assert not differences(CASE, ledger, transcript(("client|id", one)), transcript(("client|id", one)))
    assert "client-id" in ledger.unused(), "an equal reply needs no exception"
    assert not differences(CASE, ledger, transcript(("client|id", one)), transcript(("client|id", other)))
    assert "client-id" not in ledger.unused()
    assert ledger.compared == 2
