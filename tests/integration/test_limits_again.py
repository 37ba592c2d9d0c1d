"""Calls that are sent again because the backend had lost their script: no client sees NOSCRIPT, every reply comes in its
place, and every request ends in exactly one outcome."""

import itertools
import random
import sys
import threading

import pytest

from harness import ROOT, encode, wait_until
from limits import LIMIT_OF_FIVE, RULES, rule_settings, script_calls
from stats_view import metrics
from wire import ErrorReply

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from fakeredis import FakeRedis, close_after, hold, reply  # noqa: E402 pylint: disable=wrong-import-position

NOSCRIPT = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
NAMES = ("LIM.WINDOW", "LIM.GCRA", "SEM.COUNT", "ECHO")
UNKNOWN, UNAVAILABLE = "RGUNKNOWN", "RGUNAVAIL"


# ---- a real Redis that forgets its scripts ----

class Forgetful:
    """Has a Redis forget its scripts at random moments until it is left."""

    def __init__(self, server):
        self.connection = server.connect()
        self.over = threading.Event()
        self.count = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        """Thread."""
        rng = random.Random(1)
        while not self.over.wait(rng.random() / 500):
            self.connection.call("SCRIPT", "FLUSH")
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.connection.close()


def one_of_all(rng, index, number):
    """A command and what its reply must be: a value, or a test of it."""
    key = f"k{index}{number % 7}"
    return rng.choice([
        (("ECHO", number), str(number).encode()),
        (("CL.THROTTLE", f"{key}t", 1000 + number, 1, 60), lambda value: value[:2] == [0, 1001 + number]),
        (("LIM.GCRA", f"{key}g", 1000 + number, 1000, 60000), lambda value: value[:2] == [1, 1000 + number]),
        (("LIM.WINDOW", f"{key}w", 1000 + number, 3600000), lambda value: value[:2] == [1, 1000 + number]),
        (("LIM.SLIDE", f"{key}s", 1000 + number, 3600000, "LOG"), lambda value: value[:2] == [1, 1000 + number]),
        (("LIM.TRY", "jobs", f"{index}:{number}", "TOKEN", "t"), lambda value: value[:3] == [1, 1, 1]),
        (("SEM.ACQUIRE", f"q{index}:{number}", 7 + number, 30000, "t", "FIFO"), lambda value: value[2] == 7 + number),
        (("LIM.MULTI", 1, f"{key}w", "WINDOW", 1000 + number, 3600000), lambda value: value[3][0][1] == 1000 + number),
        (("INCREX", f"i{index}:{number}", "BYINT", number), [number, number]),
        (("SEM.ACQUIRE", "k", 0, 1, "t"), "ERR max and lease must be positive"),
        (("LIM.TRY", f"none{number}", "u"), f"ERR no limit rule is named 'none{number}'")])


def fits(value, wanted):
    """Whether a reply is what was expected."""
    return wanted(value) if callable(wanted) else value == wanted


@pytest.mark.threads
@pytest.mark.parametrize("aside", [False, True], ids=["shared", "on its own connection"])
def test_a_pipeline_while_the_backend_forgets_its_scripts(redis_server, start_respgate, aside):
    gate = start_respgate(redis_server, settings={**rule_settings(), "listen.workers": 2})
    clients = [gate.connect() for _ in range(4)]
    if aside:
        assert [client.call("WATCH", "k") for client in clients] == ["OK"] * 4
    rng = random.Random(7)
    with Forgetful(redis_server) as forgetful:
        for _ in range(12):
            sent = [[one_of_all(rng, index, number) for number in range(200)] for index in range(4)]
            redis_server.call("FLUSHALL")
            for client, calls in zip(clients, sent):
                client.send(b"".join(encode(*command) for command, _ in calls))
            for client, calls in zip(clients, sent):
                for command, wanted in calls:
                    value = client.read_value()
                    assert fits(value, wanted), (command, value)
    assert forgetful.count > 20
    assert b"errorstat_NOSCRIPT" in redis_server.call("INFO", "errorstats"), "nothing had to be sent again"


def test_script_flush_through_respgate_and_a_restart(redis_server, start_respgate):
    client = start_respgate(redis_server, settings={"fallback.on_unknown": "error"}).connect()
    for number in range(20):
        assert client.call("SCRIPT", "FLUSH") == "OK"
        assert client.call("LIM.WINDOW", "k", 100, 3600000)[2] == 99 - number
    assert b"NOSCRIPT" not in redis_server.call("INFO", "errorstats"), "a flush that passed by was not noticed"
    redis_server.restart()
    wait_until(lambda: client.call("PING") == "PONG", what="the backend to be back")
    assert client.call("LIM.WINDOW", "k", 100, 3600000)[2] == 99


# ---- a fake one, for what happens in between ----

def answers(fake, rng, chance, pieces=False):
    """Number what is sent, answer each with its number; a script known by its digest is forgotten with that chance."""
    def act(connection, command):
        name = command[0].upper()
        if name == b"EVALSHA" and rng.random() < chance:
            raw = NOSCRIPT
        else:
            number = command[1] if name == b"ECHO" else command[3].rpartition(b":")[2]
            raw = b"$%d\r\n%b\r\n" % (len(number), number)
        cut = rng.randrange(len(raw)) if pieces else 0
        connection.send(*([raw[:cut], raw[cut:]] if cut else [raw]))
    for name in ("ECHO", "EVAL", "EVALSHA"):
        fake.on(name, act)


def call_of(name, number):
    """A command whose first key, or argument, is its number."""
    return {"LIM.WINDOW": ("LIM.WINDOW", number, 5, 1000), "LIM.GCRA": ("LIM.GCRA", number, 5, 5, 1000),
            "SEM.COUNT": ("SEM.COUNT", number), "ECHO": ("ECHO", number)}[name]


@pytest.fixture
def fake():
    """A backend that does as it is told."""
    with FakeRedis() as started:
        yield started


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
def test_any_calls_may_be_sent_again(fake, start_respgate, pieces):
    client = start_respgate(fake.url()).connect()
    rng = random.Random(3)
    answers(fake, rng, 0.4, pieces)
    for _ in range(8 if pieces else 20):
        names = [rng.choice(NAMES) for _ in range(60)]
        client.send(b"".join(encode(*call_of(name, number)) for number, name in enumerate(names)))
        assert [client.read_value() for _ in names] == [b"%d" % number for number in range(len(names))]
    assert fake.with_command("EVAL").names().count("EVAL") > 50


@pytest.mark.parametrize("forgets", list(itertools.product([False, True], repeat=3)))
def test_the_drawing_of_limit_kept(fake, start_respgate, forgets):
    """A, B (plain), C, D with all combinations of NOSCRIPT."""
    client = start_respgate(fake.url()).connect()
    answers(fake, random.Random(1), 0)
    assert client.call("SEM.COUNT", 9) == b"9"
    for forget in forgets:
        if forget:
            fake.once("EVALSHA", reply(NOSCRIPT))
        else:
            fake.once("EVALSHA", fake.rules[b"EVALSHA"])
    client.send(b"".join(encode(*command) for command in (
        ("SEM.COUNT", 1), ("ECHO", 2), ("SEM.COUNT", 3), ("ECHO", 4), ("SEM.COUNT", 5), ("ECHO", 6))))
    assert [client.read_value() for _ in range(6)] == [b"%d" % number for number in range(1, 7)]


@pytest.mark.parametrize("silent", [(), ("SKIP",), ("OFF",)], ids=["heard", "skip", "off"])
def test_silence_is_kept_when_sent_again(fake, start_respgate, silent):
    client = start_respgate(fake.url()).connect()
    answers(fake, random.Random(1), 0)
    assert client.call("SEM.COUNT", 9) == b"9"
    fake.once("EVALSHA", reply(NOSCRIPT))
    commands = [("CLIENT", "REPLY", *silent)] if silent else []
    commands += [("SEM.COUNT", 1), ("ECHO", 2)]
    client.send(b"".join(encode(*command) for command in commands))
    if silent == ("OFF",):
        fake.with_command("EVAL", 2)
        client.send(encode("CLIENT", "REPLY", "ON") + encode("ECHO", 3))
        assert [client.read_value() for _ in range(2)] == ["OK", b"3"]
    else:
        assert [client.read_value() for _ in range(1 if silent else 2)] == [b"1", b"2"][bool(silent):]


@pytest.mark.parametrize("lost_at", range(8))
def test_the_connection_is_lost_while_some_are_sent_again(fake, start_respgate, lost_at):
    """After any number of replies: what was answered stands, the rest is unknown, in order, and nothing is missing. What
    was told NOSCRIPT before has not run: it may as well go to the next connection, if it had not gone out again."""
    gate = start_respgate(fake.url())
    client = gate.connect()
    answers(fake, random.Random(1), 0)
    assert client.call("SEM.COUNT", 9) == b"9"
    told = itertools.count()
    normal = dict(fake.rules)

    def until_lost(forget):
        def act(connection, command):
            if next(told) == lost_at:
                connection.close()
            elif forget:
                connection.send(NOSCRIPT)
            else:
                normal[command[0].upper()](connection, command)
        return act
    for forget in (True, False, True):
        fake.once("EVALSHA", until_lost(forget))
    fake.on("EVAL", until_lost(False))
    for name in ("ECHO",):
        fake.on(name, until_lost(False))
    client.send(b"".join(encode(*command) for command in (
        ("SEM.COUNT", 1), ("ECHO", 2), ("SEM.COUNT", 3), ("SEM.COUNT", 4), ("ECHO", 5))))
    # 1! 2 3 4! 5 1' 4'
    answered = {order: {2: 1, 3: 2, 5: 4, 1: 5, 4: 6}[order] < lost_at for order in range(1, 6)}
    refused = {order for order, place in {1: 0, 4: 3}.items() if place < lost_at}
    for order, is_answered in answered.items():
        value = client.read_value()
        is_lost = getattr(value, "code", None) in (UNKNOWN, UNAVAILABLE)
        good = value == b"%d" % order and (is_answered or order in refused) or is_lost and not is_answered
        assert good, (order, value, fake.connections[-1].commands)
    for name, rule in normal.items():
        fake.on(name.decode(), rule)
    assert client.call("ECHO", 6) == b"6" and client.is_silent(0.05)


def test_the_client_leaves_while_some_are_sent_again(fake, start_respgate):
    gate = start_respgate(fake.url())
    answers(fake, random.Random(1), 0)
    first, second = gate.connect(), gate.connect()
    assert first.call("SEM.COUNT", 9) == b"9"
    fake.once("EVALSHA", reply(NOSCRIPT))
    fake.once("EVAL", hold(b"$1\r\n1\r\n"))
    first.send(encode("SEM.COUNT", 1) + encode("ECHO", 2) + encode("SEM.COUNT", 3))
    fake.wait_held()
    first.close()
    gate.wait_ready(lambda: b"clients:1" not in second.call("RESPGATE", "STATUS"))
    fake.release()
    assert second.call("SEM.COUNT", 4) == b"4" and second.call("ECHO", 5) == b"5"


@pytest.mark.parametrize("name", ["EVAL", "EVALSHA"])
def test_a_lost_reply_closes_the_client_when_so_configured(fake, start_respgate, name):
    """Also while calls are sent again and replies held."""
    gate = start_respgate(fake.url(), settings={"fallback.on_unknown": "close"})
    answers(fake, random.Random(1), 0)
    client, other = gate.connect(), gate.connect()
    assert client.call("SEM.COUNT", 9) == b"9"
    fake.once("EVALSHA", reply(NOSCRIPT))
    fake.once(name, close_after())
    client.send(b"".join(encode(*command) for command in (
        ("SEM.COUNT", 1), ("ECHO", 2), ("SEM.COUNT", 3), ("ECHO", 4))))
    assert client.at_eof()
    assert other.call("SEM.COUNT", 5) == b"5"


@pytest.mark.threads
def test_clients_that_come_and_go_while_scripts_are_forgotten(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={**rule_settings(), "listen.workers": 2})
    rng = random.Random(5)
    with Forgetful(redis_server):
        for number in range(150):
            client = gate.connect()
            client.send(b"".join(encode(*one_of_all(rng, number, call)[0]) for call in range(rng.randint(1, 40))))
            for _ in range(rng.choice((0, 0, 1))):
                client.read_reply()
            client.close()
    assert gate.connect().call("LIM.WINDOW", "k", 5, 3600000)[2] == 4


def test_all_that_is_sent_to_a_backend_that_charges_is_counted(fake, start_respgate):
    gate = start_respgate(fake.url(), settings={"backend.default.metered": "yes"})
    answers(fake, random.Random(1), 0)
    client = gate.connect()
    assert client.call("SEM.COUNT", 1) == b"1"
    fake.once("EVALSHA", reply(NOSCRIPT))
    assert client.call("SEM.COUNT", 2) == b"2"
    denial = reply(b"*10\r\n:0\r\n:1\r\n:1\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:30000\r\n:-1\r\n:1\r\n")
    fake.once("EVAL", denial)
    fake.on("EVALSHA", denial)
    assert client.call("SEM.ACQUIRE", "s", 1, 30000, "t", "WAIT", 150)[0] == 0
    names = [name for connection in fake.connections for name in connection.names()]
    billed = metrics(gate)['respgate_backend_metered_commands_total{backend="default"}']
    assert billed == names.count("EVAL") + names.count("EVALSHA") > 4


def test_increx_is_passed_to_a_backend_that_has_it(fake, start_respgate):
    client = start_respgate(fake.url()).connect()
    fake.on("INCREX", reply(b"*2\r\n:5\r\n:1\r\n"))
    for _ in range(3):
        client.send(encode("INCREX", "k") + encode("INCREX", "k", "BYINT", "x"))
        assert client.read_value() == [5, 1] and client.read_value().startswith("ERR Increment is not an integer")
    assert fake.with_command("INCREX").names().count("INCREX") == 3


@pytest.mark.parametrize("words", [b"unknown command 'INCREX', with args beginning with: 'k' ",
                                   b"Command is not available: 'INCREX'. See https://..."], ids=["redis", "upstash"])
def test_increx_is_a_script_where_the_backend_says_that_it_has_none(fake, start_respgate, words):
    client = start_respgate(fake.url()).connect()
    fake.on("INCREX", reply(b"-ERR " + words + b"\r\n"))
    fake.on("EVAL", reply(b"*2\r\n:5\r\n:1\r\n"))
    fake.on("EVALSHA", reply(b"*2\r\n:5\r\n:1\r\n"))
    assert [client.call("INCREX", "k") for _ in range(3)] == [[5, 1]] * 3
    assert fake.with_command("EVAL").names().count("INCREX") == 1


@pytest.mark.parametrize("command", LIMIT_OF_FIVE + [("SEM.COUNT", "k"), ("LIM.TRY", "win", "u")])
def test_a_backend_that_never_learns_a_script_says_so_once(fake, start_respgate, command):
    client = start_respgate(fake.url(), settings=rule_settings({"win": RULES["win"]})).connect()
    fake.on("EVAL", reply(NOSCRIPT))
    fake.on("EVALSHA", reply(NOSCRIPT))
    for _ in range(2):
        answer = client.call(*command)
        assert isinstance(answer, ErrorReply) and answer.code == "NOSCRIPT"


@pytest.mark.parametrize("wait", [(), ("WAIT", 1000), ("WAIT", 1000, "FIFO")], ids=["", "wait", "fifo"])
@pytest.mark.parametrize("size", [100, 700, 5000])
def test_an_error_of_any_length_is_passed_whole(fake, start_respgate, size, wait):
    """Upstash puts a stack traceback into the errors of scripts."""
    client = start_respgate(fake.url()).connect()
    fake.on("EVAL", reply(b"-ERR " + b"x" * size + b"\r\n"))
    assert client.call("SEM.ACQUIRE", "k", 1, 1000, "t", *wait) == "ERR " + "x" * size
    assert client.call("PING") == "PONG"


def test_replies_to_limiter_commands_that_nobody_reads_do_not_pile_up(redis_server, start_respgate):
    """As with any command: the backend, or the kernel, holds what a client does not read."""
    gate = start_respgate(redis_server, settings={"listen.reply_buffer": "64KiB", "listen.reply_buffer_max": "128KiB"})
    client = gate.connect()
    chunk = encode("SEM.HOLDERS", "k") * 200
    with redis_server.connect() as direct:
        direct.send(b"".join(encode("ZADD", "k", 2**52, f"{number}{'t' * 500}") for number in range(50)))
        assert [direct.read_value() for _ in range(50)] == [1] * 50
    before, seen = resident_kib(gate), []

    def has_stopped():
        seen.append(script_calls(redis_server))
        return seen[-1] == 4000 or (len(seen) > 50 and seen[-1] == seen[-50] > 0)
    client.send(chunk * 20)
    wait_until(has_stopped, what="the backend to have answered, or to be held up")
    grown = resident_kib(gate) - before
    assert grown < 40_000, f"{grown} KiB after {seen[-1]} replies of 26 KB"


def resident_kib(gate):
    """Memory of respgate."""
    with open(f"/proc/{gate.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
