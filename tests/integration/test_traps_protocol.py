"""Protocol edge: what is no command, or a command for nobody else's connection, never reaches a shared one, and is
answered as Redis answers it. HTTP words, half-closed sockets, giant inline lines, strays between commands."""

import socket

import pytest

from backend_view import backend_ids, backend_clients, command_calls, played
from harness import encode, wait_until
from taken import receive_queue, send_in_pieces, wait_taken

HTTP = b"POST /index HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nPING"


def end_of_stream(connection):
    """All bytes until the peer closes."""
    deadline = connection.deadline(None)
    while connection.receive(deadline):
        pass
    return bytes(connection.splitter.buffer)


# ---- trap 1: HTTP words ----

@pytest.mark.threads
@pytest.mark.parametrize("request_", [HTTP, b"post x\r\n", b"Host: a\r\n", encode("POST", "/"), encode("hOsT:", "x")],
                         ids=["http", "post", "host", "array", "array-host"])
def test_post_and_host_close_their_client_while_1000_commands_of_another_are_in_flight(
        redis_server, respgate, request_):
    busy, web = respgate.connect(), respgate.connect()
    assert busy.call("PING") == "PONG" and web.call("PING") == "PONG"
    lanes = backend_ids(redis_server)
    redis_server.pause()
    busy.send(encode("INCR", "n") * 1000)
    wait_taken(busy.socket)
    web.send(request_)
    assert web.at_eof(), "answered, though Redis closes without a word"
    redis_server.resume()
    assert [busy.read_value() for _ in range(1000)] == list(range(1, 1001))
    assert lanes <= backend_ids(redis_server), "the shared connection was lost"
    assert {"post", "host:"}.isdisjoint(command_calls(redis_server))


@pytest.mark.parametrize("request_", [HTTP, encode("SET", "k", "v") + encode("GET", "k") + HTTP,
                                      encode("MULTI") + HTTP], ids=["alone", "after commands", "inside MULTI"])
def test_replies_due_before_an_http_word_are_delivered_as_redis_does(redis_server, respgate, request_):
    answers = []
    for peer in (redis_server, respgate):
        with peer.connect() as connection:
            connection.send(request_)
            answers.append(end_of_stream(connection))
    assert answers[1] == answers[0]


# ---- trap 5: half-close ----

@pytest.mark.threads
def test_a_half_close_behind_a_pipeline_still_gets_all_replies(respgate):
    client = respgate.connect()
    client.send(encode("PING") + encode("SET", "k", "v") + encode("GET", "k") * 1000)
    client.socket.shutdown(socket.SHUT_WR)
    assert end_of_stream(client) == b"+PONG\r\n+OK\r\n" + b"$1\r\nv\r\n" * 1000


def test_a_half_close_while_the_backend_is_slow_still_gets_all_replies(redis_server, respgate):
    client = respgate.connect()
    assert client.call("SET", "k", "v") == "OK"
    redis_server.pause()
    client.send(encode("PING") + encode("GET", "k"))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.is_silent(0.2), "closed before the replies that are due"
    redis_server.resume()
    assert end_of_stream(client) == b"+PONG\r\n$1\r\nv\r\n"


@pytest.mark.parametrize("tail", [b"*2\r\n$3\r\nGET\r\n", b"GET", b"*1\r\n$4\r\nPI"])
def test_half_a_command_before_a_half_close_is_dropped_and_the_rest_answered(redis_server, respgate, tail):
    client = respgate.connect()
    client.send(encode("PING") + encode("ECHO", "e") + tail)
    client.socket.shutdown(socket.SHUT_WR)
    assert end_of_stream(client) == b"+PONG\r\n$1\r\ne\r\n"
    assert "get" not in command_calls(redis_server)


def test_a_half_close_behind_a_transaction_still_gets_its_replies(respgate):
    client = respgate.connect()
    client.send(encode("MULTI") + encode("INCR", "n") + encode("EXEC"))
    client.socket.shutdown(socket.SHUT_WR)
    assert end_of_stream(client) == b"+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"


# ---- trap 13: inline commands ----

def test_an_inline_command_of_nearly_64_kib_may_come_byte_by_byte(respgate):
    client, other = respgate.connect(timeout=60.0), respgate.connect()
    word = b"w" * 65000
    line = b"ECHO " + word + b"\r\n"
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(line)):
        client.socket.send(line[at : at + 1])
        if at % 10000 == 0:
            assert other.call("PING") == "PONG"
    assert client.read_value() == word
    assert client.call("PING") == "PONG"


def test_an_inline_command_split_at_every_byte_is_one_command(respgate):
    client = respgate.connect()
    line = b"SET 'a key' \"v\\x41\\n\"\r\n"
    send_in_pieces(client.socket, [line[at : at + 1] for at in range(len(line))])
    assert client.read_value() == "OK"
    assert client.call("GET", "a key") == b"vA\n"


def test_an_inline_command_above_64_kib_is_an_error_and_a_close_as_in_redis(redis_server, respgate):
    answers = []
    for peer in (redis_server, respgate):
        with peer.connect() as connection:
            connection.send(encode("ECHO", "before") + b"ECHO " + b"w" * 70000)
            answers.append(end_of_stream(connection))
    assert answers[1] == answers[0] == b"$6\r\nbefore\r\n-ERR Protocol error: too big inline request\r\n"


# ---- trap 26: strays ----

STRAYS = {
    "empty arrays": [b"*0\r\n", ("SET", "k", "1"), b"*0\r\n*-1\r\n", ("GET", "k"), b"*-1\r\n"],
    "blank lines": [b"\r\n\n   \r\n", ("INCR", "k"), b"\r\n", ("INCR", "k"), b" \n"],
    "bulks outside an array": [("SET", "k", "1"), b"$3\r\nfoo\r\n", ("GET", "k"), b"$3\r\n", ("GET", "k")],
    "bare line feeds": [b"SET k 1\nGET k\n", ("GET", "k")],
    "an empty name": [b"*1\r\n$0\r\n\r\n", ("PING",)],
    "reply types as commands": [b"+OK\r\n", b":1\r\n", b"-ERR x\r\n", ("PING",)],
    "quotes": [b'SET "a b" \'c\\\'d\'\r\n', ("GET", "a b"), b"GET \"a b\"\r\n"],
}


@pytest.mark.threads
@pytest.mark.parametrize("script", STRAYS.values(), ids=STRAYS)
def test_strays_between_commands_are_answered_as_redis_does(redis_server, respgate, script):
    direct, through = played(redis_server, respgate, *script)
    assert through == direct
    direct, through = played(redis_server, respgate, *script, together=False)
    assert through == direct


BROKEN = [b"*a\r\n", b"*2147483648\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$x\r\n", b"*1\r\n$536870913\r\n",
          b"SET 'open\r\n", b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"*1\r\n+GET\r\n"]


@pytest.mark.parametrize("broken", BROKEN, ids=[str(item[:12]) for item in BROKEN])
def test_protocol_errors_have_the_words_of_redis_and_harm_nobody_else(redis_server, respgate, broken):
    other = respgate.connect()
    assert other.call("PING") == "PONG"
    lanes = backend_ids(redis_server)
    answers = []
    for peer in (redis_server, respgate):
        with peer.connect() as connection:
            connection.send(encode("SET", "k", "v") + encode("GET", "k") + broken)
            answers.append(end_of_stream(connection))
    assert answers[1] == answers[0]
    assert other.call("PING") == "PONG"
    assert lanes <= backend_ids(redis_server)


# ---- traps 14 and 15: large values ----

def test_a_stalled_sender_of_a_300_mb_bulk_stops_nobody_and_stores_nothing(redis_server, respgate):
    stalled, quick = respgate.connect(), respgate.connect()
    stalled.send(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$300000000\r\n" + b"v" * 3_000_000)
    wait_taken(stalled.socket)
    for number in range(1, 301):
        assert quick.call("INCR", "n") == number
    stalled.close()
    wait_until(lambda: len(backend_clients(redis_server)) <= 2, what="the half-fed connection to be closed")
    assert quick.call("EXISTS", "big") == 0
    assert quick.call("INCR", "n") == 301


def is_left_unread(server, seen):
    """True when some connection of this Redis is no longer read: bytes lie in its socket and stay as they are."""
    queues = {}
    for line in backend_clients(server):
        host, port = line["addr"].split(":")
        queues[line["id"]] = receive_queue((host, int(port)), ("127.0.0.1", server.port))
    seen.append(queues)
    return len(seen) > 20 and any(queue and all(old.get(key) == queue for old in seen[-20:])
                                  for key, queue in queues.items())


def start_slow_read(server, client, size):
    """Ask for a large value, take the first line only, and wait until nobody takes more from Redis."""
    assert server.call("SETRANGE", "big", size - 4, "tail") == size
    client.command("GET", "big")
    head = b"$%d\r\n" % size
    assert client.read_bytes(len(head)) == head
    seen = []
    wait_until(lambda: is_left_unread(server, seen), what="the reply to be held back")


def test_a_slow_reader_of_a_200_mb_reply_stops_nobody_and_gets_it_whole(redis_server, respgate):
    slow, quick = respgate.connect(timeout=60.0), respgate.connect()
    start_slow_read(redis_server, slow, 200_000_000)
    for number in range(1, 301):
        assert quick.call("INCR", "n") == number
    left = 200_000_002 - len(slow.splitter.buffer)
    slow.splitter.buffer.clear()
    tail = b""
    while left > 0:
        data = slow.socket.recv(1 << 20)
        assert data, f"closed with {left} bytes to come"
        left, tail = left - len(data), (tail + data)[-6:]
    assert left == 0 and tail == b"tail\r\n"
    assert slow.call("PING") == "PONG" and slow.is_silent(0.05)


def test_a_reader_that_stops_for_good_is_closed_and_said_why(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.slow_client_timeout": "300ms"})
    slow, quick = gate.connect(), gate.connect()
    start_slow_read(redis_server, slow, 20_000_000)
    gate.wait_for_log("does not read its replies")
    assert quick.call("PING") == "PONG"
    wait_until(lambda: all(line["omem"] == "0" for line in backend_clients(redis_server)), what="Redis to be rid of it")
