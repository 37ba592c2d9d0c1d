"""A script that runs for longer than a client may wait, and ends in an error without a blank: the shape in which a proxy
that shares connections has handed parts of replies to others. Nobody but its own caller fails."""

from wire import encode

CLIENTS, ROUNDS, SLOW_MS = 93, 4, 250
GIVEN_UP_AFTER_MS, TOO_LONG_MS = 1200, 1500  # so that the others have four times as long as they need
SLOW = ("local t = redis.call('TIME') local till = t[1] * 1000 + t[2] / 1000 + ARGV[1] "
        "repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till return {err = '-10001'}")
# That nobody is late for a check is not what this is about.
SETTINGS = {"health.timeout": "2s", "health.hang_threshold": "2s"}


def bulk(text):
    """As a reply."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


def test_who_waits_beside_a_slow_script_is_served(start_respgate, redis_server, figure):
    """93 clients, each with its own value, while a script again and again is given its time."""
    gate = start_respgate(redis_server, settings=SETTINGS)
    slow = gate.connect()
    clients = [gate.connect() for _ in range(CLIENTS)]
    with redis_server.connect() as direct:
        direct.command("EVAL", SLOW, 0, 0)
        expected = direct.read_reply()
    assert expected.startswith(b"-") and b" " not in expected.strip()
    asked = wrong = 0
    for number in range(ROUNDS):
        slow.command("EVAL", SLOW, 0, SLOW_MS)
        for i, client in enumerate(clients):
            client.send(encode("SET", f"k{i}", f"v{i}:{number}") + encode("GET", f"k{i}") + encode("ECHO", f"e{i}"))
        for i, client in enumerate(clients):
            value, word = f"v{i}:{number}".encode(), f"e{i}".encode()
            replies = [client.read_reply() for _ in range(3)]
            asked += 3
            wrong += replies != [b"+OK\r\n", bulk(value), bulk(word)]
        assert slow.read_reply() == expected
    figure(f"{CLIENTS} clients beside {ROUNDS} scripts of {SLOW_MS} ms: {asked} replies, {wrong} wrong or errors")
    assert not wrong


def test_a_script_that_is_given_up_fails_alone(start_respgate, redis_server, figure):
    """Its late reply is dropped; the others on its connection, whose own time has not run out, are answered."""
    gate = start_respgate(redis_server, settings={**SETTINGS, "backend.default.command_timeout": f"{GIVEN_UP_AFTER_MS}ms"})
    slow = gate.connect()
    clients = [gate.connect() for _ in range(CLIENTS)]
    wrong = 0
    for number in range(2):
        slow.command("EVAL", SLOW, 0, TOO_LONG_MS)
        assert slow.read_reply().startswith(b"-RGUNKNOWN")  # given up, while it still runs
        for i, client in enumerate(clients):
            client.command("ECHO", f"{i}:{number}")
        for i, client in enumerate(clients):
            wrong += client.read_reply() != bulk(f"{i}:{number}".encode())
        assert slow.call("ECHO", "mine") == b"mine"
    figure(f"{CLIENTS} clients beside 2 scripts of {TOO_LONG_MS} ms that were given up: {wrong} wrong or errors")
    assert not wrong
