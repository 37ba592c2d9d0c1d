"""A client that reads 200 MB slowly, or not at all: others do not notice, nothing is held, what it reads is intact."""

import contextlib
import threading
import time

import pytest

from bounds import (KIB, MIB, PATIENT, FastClients, backend_holds, closed_within, compare, forget_peak, max_ms, peak,
                    settled)
from bulks import BulkReader, digest_of, set_value
from taken import wait_taken

LARGE = 200_000_000
EXTRA_MAX = 2 * MIB
SLOWLY = 64 * KIB  # every 5 ms: 13 MB/s
DECENTLY = 100_000_000  # a second
OTHERS_WAIT_MAX_MS = 2000  # the patience, counted only while nothing moves, and the rest of the reply


@pytest.fixture
def gate(start_respgate, redis_server):
    """respgate with a patience beyond the test's, and the value `large` in its Redis."""
    with redis_server.connect(30) as direct:
        assert set_value(direct, "large", LARGE) == "OK"
    return start_respgate(redis_server, settings={**PATIENT, "listen.slow_client_timeout": "60s"})


@contextlib.contextmanager
def reading_slowly(reader):
    """Somebody reads a little every few milliseconds."""
    stop = threading.Event()

    def read():
        while not stop.wait(0.005):
            reader.read(SLOWLY)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def slow_client(gate, redis_server, digest, slowly):
    """A client in the middle of its 200 MB, which are intact when it goes on in the end."""
    with gate.connect(30) as client:
        client.command("GET", "large")
        reader = BulkReader(client)
        settled(lambda: backend_holds(redis_server))
        with reading_slowly(reader) if slowly else contextlib.nullcontext():
            yield
        assert reader.left > LARGE // 4, "the slow client was too fast to be one"
        assert reader.finish() == digest


@pytest.mark.figures
@pytest.mark.parametrize("slowly", [True, False], ids=["slow", "stopped"])
def test_others_do_not_notice_who_does_not_read(gate, redis_server, figure, slowly):
    """p99 at most doubles, respgate grows by less than 2 MiB, the reply is whole whenever it is read."""
    digest, what = digest_of(LARGE), "a slow reader" if slowly else "a reader that stopped"
    with FastClients(gate, redis_server) as fast:
        base = forget_peak(gate.pid)
        compare(figure, f"{what} of 200 MB", fast, lambda: slow_client(gate, redis_server, digest, slowly))
    extra = peak(gate.pid) - base
    figure(f"{what} of 200 MB costs {extra / KIB:.0f} KiB (at most {EXTRA_MAX / KIB:.0f})")
    assert extra <= EXTRA_MAX


@pytest.mark.figures
@pytest.mark.parametrize("slowly", [True, False], ids=["slow", "stopped"])
def test_requests_behind_the_reply_wait_for_a_second_at_most(gate, redis_server, figure, slowly):
    """Requests that share the connection with the large reply, and are behind it, get on: its reader is closed."""
    with FastClients(gate, redis_server, requests=20_000) as fast, gate.connect(30) as client, gate.connect() as behind:
        base = forget_peak(gate.pid)
        redis_server.pause()
        client.command("GET", "large")
        wait_taken(client.socket)
        behind.command("ECHO", "behind")
        wait_taken(behind.socket)
        fast.begin()
        redis_server.resume()
        reader = BulkReader(client)
        if slowly:
            with pytest.raises((AssertionError, ConnectionError)):
                while reader.left:
                    reader.read(SLOWLY)
                    time.sleep(0.005)  # the pace of the slow reader, not a wait for anything
        assert behind.read_value() == b"behind"
        waited = max_ms([fast.end()])
        gate.wait_for_log("does not read its replies")
        extra = peak(gate.pid) - base
    figure(f"requests behind the 200 MB of a {'slow' if slowly else 'stopped'} reader wait {waited:.0f} ms"
           f" (at most {OTHERS_WAIT_MAX_MS}), {extra / KIB:.0f} KiB held (at most {EXTRA_MAX / KIB:.0f})")
    assert waited <= OTHERS_WAIT_MAX_MS and extra <= EXTRA_MAX


@pytest.mark.figures
def test_who_reads_at_a_decent_pace_gets_all_with_others_behind(gate, redis_server, figure):
    """Nobody is closed for being slower than Redis: here for two seconds, twice the patience with who stands still."""
    with gate.connect(30) as client, gate.connect(30) as behind:
        assert client.call("PING") == behind.call("PING") == "PONG"
        redis_server.pause()
        client.command("GET", "large")
        wait_taken(client.socket)
        behind.command("ECHO", "behind")
        wait_taken(behind.socket)
        redis_server.resume()
        started, reader = time.monotonic(), BulkReader(client)
        while reader.left:
            reader.read(min(MIB, reader.left))
            ahead = (LARGE - reader.left) / DECENTLY - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)  # the pace of the reader, not a wait for anything
        taken = time.monotonic() - started
        assert reader.finish() == digest_of(LARGE)
        assert behind.read_value() == b"behind"
    assert taken > 1.5, "the reader was too fast to try anybody's patience"
    figure(f"200 MB read at a decent pace in {taken:.1f} s, with a request behind: both served")


def test_who_never_reads_is_closed_with_a_reason(start_respgate, redis_server):
    """After slow_client_timeout, with a line in the log; the backend connection is of use again."""
    gate = start_respgate(redis_server, settings={**PATIENT, "listen.slow_client_timeout": "300ms"})
    redis_server.call("EVAL", "redis.call('SET', 'large', string.rep('v', 100000000))", 0)
    with gate.connect() as client:
        client.command("GET", "large")
        line = gate.wait_for_log("client closed")
        assert "does not read its replies" in line and "level=warn" in line
        assert closed_within(client.socket, 5)
    with gate.connect() as other:
        assert other.call("STRLEN", "large") == 100_000_000


def test_a_slow_reader_of_many_elements_gets_each(start_respgate, redis_server):
    """The same for a reply of many small parts, read with a pause in the middle that lasts until all is at rest."""
    gate = start_respgate(redis_server, settings=PATIENT)
    count, push = 400_000, "for i = 1, ARGV[1] do redis.call('RPUSH', 'list', i .. ':' .. string.rep('v', 40)) end"
    redis_server.call("EVAL", push, 0, count)
    with gate.connect() as client, gate.connect() as other:
        client.command("LRANGE", "list", 0, -1)
        settled(lambda: backend_holds(redis_server))
        assert other.call("LLEN", "list") == count
        expected = b"*%d\r\n" % count
        elements = (b"%d:%b" % (i, b"v" * 40) for i in range(1, count + 1))
        expected += b"".join(b"$%d\r\n%b\r\n" % (len(element), element) for element in elements)
        assert client.read_bytes(len(expected), 30) == expected
        assert client.call("PING") == "PONG"
