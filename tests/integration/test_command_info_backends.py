"""COMMAND and its kin in front of backends that are unlike Redis 7.0, or fail in the middle: a scripted fake tells the
shapes of Redis 5, 6 and 8, of hosted ones, and cuts its replies wherever it likes."""

import sys

import pytest

from command_own import OWN, entries, without_own
from harness import ROOT
from test_fake_backend import vanish
from wire import ErrorReply, WireError, decode, encode

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, close_after, hold, reply, silence  # noqa: E402

QUESTION = [b"COMMAND", b"INFO", b"ping"] + [name.encode() for name in OWN]
AT_ONCE = 1 << 16  # bytes that are read at once (struct loop, scratch)
NULL, OLD_NULL = b"$-1\r\n", b"*-1\r\n"


def lines(text):
    """Blanks as line ends."""
    return text.replace(" ", "\r\n").encode()


def array(*parts):
    """An array of raw parts."""
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


ENTRIES = {  # by the number of elements: of Redis 5, 6 and 7
    6: lines("*6 $3 get :2 *2 +readonly +fast :1 :1 :1 "),
    7: lines("*7 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast "),
    10: lines("*10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 *0 *0 "),
    11: lines("*11 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 *0 *0 $5 later "),
}
NATIVE = lines("*10 $6 increx :-2 *1 +write :1 :1 :1 *1 +@write *0 *0 *0 ")


def knowledge(elements=10, has=(), null=NULL):
    """The answer to the question what it knows of ours."""
    return array(ENTRIES[elements], *(NATIVE if name in has else null for name in OWN))


@pytest.fixture
def fake():
    """A fake Redis that answers GET with x."""
    with FakeRedis() as started:
        started.on("GET", reply(b"$1\r\nx\r\n"))
        yield started


@pytest.fixture
def gate(fake, start_respgate):
    """respgate in front of it."""
    return start_respgate(fake.url())


def answering(fake, told, *pieces):
    """COMMAND answers the question with `told`, bytes or pieces, and anything else in these pieces."""
    told = [told] if isinstance(told, bytes) else told

    def act(connection, command):
        connection.send(*(told if command == QUESTION else pieces))
    fake.on("COMMAND", act)


def ask(client, *command):
    """A raw reply, and the connection is in step behind it."""
    client.command("COMMAND", *command)
    client.command("GET", "k")
    got = client.read_reply()
    assert client.read_reply() == b"$1\r\nx\r\n"
    return got


def asked(fake):
    """What the backend got of COMMAND, in order."""
    return [command for connection in fake.connections for command in connection.commands if command[0] == b"COMMAND"]


# ---- shapes ----

@pytest.mark.parametrize("elements,null", [(6, OLD_NULL), (7, OLD_NULL), (10, NULL), (11, NULL)])
def test_entries_have_as_many_elements_as_the_backend_s(fake, gate, elements, null):
    client = gate.connect()
    entry = ENTRIES[elements]
    answering(fake, knowledge(elements, null=null), array(entry, entry))
    got = ask(client)
    assert without_own(got) == array(entry, entry)
    shapes = {len(value) for value in decode(got)[2:]}
    assert shapes == {min(elements, 10)} and len(entries(got)) == 2 + len(OWN)
    answering(fake, knowledge(elements, null=null), array(entry, null, null))
    told = decode(ask(client, "INFO", "get", "lim.try", "nosuch"))
    assert (len(told[0]), len(told[1]), told[2]) == (elements, min(elements, 10), None)
    asked_before = len(asked(fake))
    assert len(decode(ask(client, "INFO", "Sem.Count"))[0]) == min(elements, 10)
    assert asked(fake)[asked_before:] == [QUESTION], "of ours alone the backend need not be asked"


def test_redis_6_has_no_docs_and_no_info_without_names(fake, gate):
    """redis-cli takes the error for a reason to ask with COMMAND; Redis 6 lists nothing when no name is given."""
    client = gate.connect()
    error = b"-ERR Unknown subcommand or wrong number of arguments for 'DOCS'. Try COMMAND HELP.\r\n"
    answering(fake, knowledge(7), error)
    assert ask(client, "DOCS") == ask(client, "DOCS", "get", "lim.try") == ask(client, "LIST") == error
    answering(fake, knowledge(7), b"*0\r\n")
    assert ask(client, "INFO") == b"*0\r\n"
    assert ask(client, "DOCS", "lim.try").startswith(b"*2\r\n$7\r\nlim.try\r\n")


def test_a_backend_that_answers_nothing(fake, gate):
    """Upstash: an empty array, whatever the question."""
    client = gate.connect()
    fake.on("COMMAND", reply(b"*0\r\n"))
    assert [name for name, _ in entries(ask(client))] == OWN
    assert [name for name, _ in entries(ask(client, "INFO"))] == OWN
    assert [name for name, _ in entries(ask(client, "LIST"))] == OWN
    assert [name for name, _ in entries(ask(client, "DOCS"), paired=True)] == OWN
    assert [name for name, _ in entries(ask(client, "INFO", "get", "SEM.COUNT"))] == [None, "sem.count"]
    assert ask(client, "COUNT") == b"*0\r\n"


def test_a_backend_without_the_command(fake, gate):
    """Renamed away: ours are told all the same, where an old client looks for them."""
    client = gate.connect()
    error = b"-ERR unknown command 'COMMAND', with args beginning with: 'INFO' 'ping' \r\n"
    fake.on("COMMAND", reply(error))
    assert [name for name, _ in entries(ask(client))] == OWN
    assert [name for name, _ in entries(ask(client, "INFO", "SEM.COUNT", "get"))] == ["sem.count", None]
    assert ask(client, "DOCS") == ask(client, "COUNT") == ask(client, "LIST") == error


@pytest.mark.parametrize("error", [b"-NOPERM this user has no permissions to run the 'command' command\r\n",
                                   b"-LOADING Redis is loading the dataset in memory\r\n"])
def test_other_errors_pass(fake, gate, error):
    client = gate.connect()
    fake.on("COMMAND", reply(error))
    for command in ((), ("COUNT",), ("INFO", "get", "lim.try"), ("LIST",), ("DOCS",)):
        assert ask(client, *command) == error


def test_what_the_backend_has_itself_is_left_to_it(fake, gate):
    """INCREX since Redis 8.8."""
    client = gate.connect()
    but_increx = [name for name in OWN if name != "increx"]
    told = knowledge(has=("increx",))
    answering(fake, told, array(ENTRIES[10], NATIVE))
    assert [name for name, _ in entries(ask(client))] == ["get", "increx", *but_increx]
    answering(fake, told, b":400\r\n")
    assert ask(client, "COUNT") == b":%d\r\n" % (400 + len(but_increx))
    answering(fake, told, array(NATIVE, NULL))
    assert ask(client, "INFO", "INCREX", "nosuch") == array(NATIVE, NULL)
    got = ask(client, "INFO", "increx", "lim.try")
    assert got.startswith(b"*2\r\n" + NATIVE) and got.count(b"lim.try") == 1
    answering(fake, told, lines("*2 $6 increx *0 "))
    assert ask(client, "DOCS", "increx") == lines("*2 $6 increx *0 ")
    assert asked(fake)[-2:] == [QUESTION, [b"COMMAND", b"DOCS", b"increx"]]


# ---- pieces ----

MIXED = array(ENTRIES[10], NULL, OLD_NULL, NULL)
FORMS = {
    ("INFO", "get", "lim.try", "x", "lim.reset"): MIXED, (): array(ENTRIES[10], ENTRIES[10]), ("COUNT",): b":240\r\n",
    ("LIST",): lines("*2 $3 get $3 set "), ("DOCS",): lines("*2 $3 get *2 $7 summary $3 abc ")}


@pytest.mark.parametrize("form", FORMS, ids=["mixed", "all", "count", "list", "docs"])
def test_a_reply_cut_at_every_byte(fake, gate, form):
    client = gate.connect()
    whole = FORMS[form]
    answering(fake, knowledge(), whole)
    expected = ask(client, *form)
    assert expected != whole
    for at in range(1, len(whole)):
        answering(fake, knowledge(), whole[:at], whole[at:])
        assert ask(client, *form) == expected, at
    answering(fake, knowledge(), *(whole[i : i + 1] for i in range(len(whole))))
    assert ask(client, *form) == expected


def test_the_question_s_answer_cut_in_two(fake, gate):
    client = gate.connect()
    told = knowledge(7)
    for at in range(1, len(told), 7):
        fake.once("COMMAND", reply(told[:at], told[at:]))
        fake.once("COMMAND", reply(b"*1\r\n" + ENTRIES[7]))
        assert {len(value) for value in decode(ask(client))} == {7}


def test_an_answer_too_long_for_the_question_says_nothing(fake, gate):
    """What is read at once ends where something begins that looks like another answer."""
    client = gate.connect()
    filler = b"*2\r\n$%d\r\n" % (AT_ONCE - 4 - 8 - 2)
    filler += b"f" * (AT_ONCE - len(filler) - 2) + b"\r\n"
    assert len(filler) == AT_ONCE and filler.startswith(b"*2\r\n$%d\r\n" % (AT_ONCE - 4 - 8 - 2))
    answering(fake, [filler, knowledge(7)], b"*1\r\n" + ENTRIES[7])
    assert {len(value) for value in decode(ask(client))} == {7, 10}


def test_large_replies_cut_anywhere(fake, gate):
    """Several times what is read at once, so that it is handed on in parts, which end at other bytes each time."""
    client = gate.connect()
    for size in (1, 2, 3, 50, 99, 100, 101, 4095, 4096, 5000):
        fill = b"$%d\r\n%b\r\n" % (size, b"f" * size)
        entry = ENTRIES[10].replace(b"$3\r\nget\r\n", fill)
        count = min(400_000 // len(entry), 1500)
        answering(fake, knowledge(), array(*[entry, NULL] * count))
        told = entries(ask(client, "INFO", *["x", "lim.try"] * count))
        assert len(told) == 2 * count
        assert {name for name, _ in told[::2]} == {"f" * size} and {name for name, _ in told[1::2]} == {"lim.try"}
        answering(fake, knowledge(), array(*[entry] * 2 * count))
        assert without_own(ask(client)) == array(*[entry] * 2 * count)


# ---- failures ----

COMMANDS = [("COMMAND",), ("COMMAND", "COUNT"), ("COMMAND", "INFO", "get", "lim.try"), ("COMMAND", "INFO", "lim.try")]


def test_only_the_question_and_the_call_reach_the_backend(fake, gate):
    client = gate.connect()
    answering(fake, knowledge(), b":1\r\n")
    client.send(encode("GET", "k") + encode("COMMAND", "COUNT") + encode("GET", "k") + encode("COMMAND", "INFO", "get"))
    for _ in range(4):
        client.read_reply()
    lane = fake.with_command("COMMAND", 3)
    sent = lane.commands[lane.names().index("GET"):]
    assert sent == [[b"GET", b"k"], QUESTION, [b"COMMAND", b"COUNT"], [b"GET", b"k"], [b"COMMAND", b"INFO", b"get"]]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("half", [b"", b"*17\r\n$-1\r\n"], ids=["nothing", "half an answer"])
def test_lost_at_the_question(fake, gate, command, half):
    client = gate.connect()
    fake.on("COMMAND", close_after(half))
    client.command(*command)
    assert client.read_reply().startswith(b"-RGUNKNOWN ")
    fake.on("COMMAND", silence())
    assert client.call("GET", "k") == b"x"
    assert len(asked(fake)) == 1, "it may have run"


@pytest.mark.parametrize("command", COMMANDS[:3])
def test_lost_behind_the_question(fake, gate, command):
    client = gate.connect()
    fake.once("COMMAND", reply(knowledge()))
    fake.once("COMMAND", close_after())
    client.command(*command)
    assert client.read_reply().startswith(b"-RGUNKNOWN ")
    assert client.call("GET", "k") == b"x"


def test_lost_within_the_reply(fake, gate):
    client = gate.connect()
    whole = array(*[ENTRIES[10]] * 3000)
    fake.once("COMMAND", reply(knowledge()))
    fake.once("COMMAND", close_after(whole[:200_000]))
    client.command("COMMAND")
    with pytest.raises(WireError, match="closed by the peer"):
        client.read_reply()
    assert bytes(client.splitter.buffer).startswith(b"*%d\r\n*10\r\n" % (3000 + len(OWN)))
    assert gate.connect().call("GET", "k") == b"x"


@pytest.mark.parametrize("at", ["question", "call"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_client_that_leaves(fake, gate, command, at):
    one, two = gate.connect(), gate.connect()
    if at == "call" and command[-1] == "lim.try" and len(command) == 3:
        command = ("COMMAND", "INFO", "lim.try", "get")
    if at == "call":
        fake.once("COMMAND", reply(knowledge()))
    fake.once("COMMAND", hold(knowledge()))
    one.command(*command)
    fake.wait_held()
    vanish(one)
    two.command("GET", "k")
    fake.with_command("GET")
    fake.release()
    assert two.read_value() == b"x"
    answering(fake, knowledge(), b":1\r\n")
    assert two.call("COMMAND", "COUNT") == 1 + len(OWN)


def test_too_late_an_answer_is_nobody_s(fake, start_respgate):
    gate = start_respgate(fake.url(), settings={"backend.default.command_timeout": "300ms"})
    one, two = gate.connect(), gate.connect()
    fake.once("COMMAND", hold(knowledge()))
    one.command("COMMAND", "COUNT")
    assert one.read_reply().startswith(b"-RGUNKNOWN ")
    fake.release()
    assert two.call("GET", "k") == one.call("GET", "k") == b"x"
    answering(fake, knowledge(), b":1\r\n")
    assert one.call("COMMAND", "COUNT") == 1 + len(OWN)


def test_a_client_that_closes_its_side_is_answered_first(fake, gate):
    client = gate.connect()
    fake.once("COMMAND", hold(knowledge()))
    fake.once("COMMAND", reply(b":1\r\n"))
    client.command("COMMAND", "COUNT")
    fake.wait_held()
    client.socket.shutdown(1)
    fake.release()
    assert client.read_value() == 1 + len(OWN)
    assert client.at_eof()


def test_no_backend(start_respgate):
    gate = start_respgate("redis://127.0.0.1:1/0", settings={"fallback.queue_timeout": "200ms"})
    client = gate.connect()
    for command in COMMANDS:
        assert isinstance(client.call(*command), ErrorReply)
