"""A subscriber that never reads while a publisher floods: it costs little, slows nobody, and is closed with a reason."""

import contextlib
import statistics
import threading
import time

import pytest

from bounds import KIB, MIB, P99_FACTOR, PATIENT, FastClients, closed_within, compare, forget_peak, peak, preferred
from harness import encode, wait_until

EXTRA_MAX = 2 * MIB
MESSAGE = b"m" * 1000
ROUNDS, WINDOWS, PUBLISHES = 4, 6, 400
HOLDS_ALL = {"client-output-buffer-limit": "pubsub 0 0 0"}  # so that it is not Redis that ends it


def subscribe(gate, redis_server, channel="news"):
    """A client with a subscription that is in force."""
    client = gate.connect(30)
    assert client.call("SUBSCRIBE", channel) == [b"subscribe", channel.encode(), 1]
    assert redis_server.call("PUBSUB", "NUMSUB", channel) == [channel.encode(), 1]
    return client


def publish(publisher, count):
    """So many messages, each after the reply to the one before; milliseconds each took."""
    request, times = encode("PUBLISH", "news", MESSAGE), []
    for _ in range(count):
        start = time.perf_counter()
        publisher.send(request)
        assert publisher.read_reply() == b":1\r\n"
        times.append((time.perf_counter() - start) * 1000)
    return times


@contextlib.contextmanager
def reading(client):
    """Somebody reads all that the client is sent."""
    ended = threading.Event()

    def read():
        client.socket.settimeout(0.05)
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                client.socket.recv(MIB)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def p99(times):
    """In milliseconds."""
    return statistics.quantiles(times, n=100)[98]


@pytest.mark.figures
def test_a_publisher_does_not_notice_who_does_not_read(start_respgate, start_redis, figure):
    """Its p99 with a subscriber that reads, in turns with that of one that has left 25 MB unread."""
    redis_server = start_redis(config=HOLDS_ALL)
    gate = start_respgate(redis_server, settings={**PATIENT, "listen.slow_client_timeout": "60s"})
    with gate.connect(30) as publisher, gate.connect(30) as flood, preferred(gate.pid, redis_server.pid):
        with_reader, without = [], []
        publisher.call("PING")
        base = forget_peak(gate.pid)
        for _ in range(ROUNDS):
            with subscribe(gate, redis_server) as client, reading(client):
                with_reader += [p99(publish(publisher, PUBLISHES)) for _ in range(WINDOWS)]
            wait_until(lambda: redis_server.call("PUBSUB", "NUMSUB", "news")[1] == 0, what="the reader to be gone")
            with subscribe(gate, redis_server) as silent:
                flood.send(encode("PUBLISH", "news", b"f" * 100_000) * 250)
                assert all(flood.read_reply() == b":1\r\n" for _ in range(250))
                without += [p99(publish(publisher, PUBLISHES)) for _ in range(WINDOWS)]
                assert not closed_within(silent.socket, 0)
            wait_until(lambda: redis_server.call("PUBSUB", "NUMSUB", "news")[1] == 0, what="the silent one to be gone")
        extra = peak(gate.pid) - base
    figure(f"p99 of PUBLISH to a subscriber that does not read: {min(without):.2f} ms, {min(with_reader):.2f} ms when it"
           f" does: x{min(without) / min(with_reader):.2f} (at most x{P99_FACTOR:.0f});"
           f" 27 MB unread cost {extra / KIB:.0f} KiB (at most {EXTRA_MAX / KIB:.0f})")
    assert min(without) <= P99_FACTOR * min(with_reader)
    assert extra <= EXTRA_MAX


@pytest.mark.figures
def test_others_do_not_notice_a_subscriber_that_does_not_read(start_respgate, start_redis, figure):
    """Fast clients beside one with 50 MB of messages that nobody reads."""
    redis_server = start_redis(config=HOLDS_ALL)
    gate = start_respgate(redis_server, settings={**PATIENT, "listen.slow_client_timeout": "60s"})

    @contextlib.contextmanager
    def unread():
        with subscribe(gate, redis_server):
            for _ in range(50):
                assert redis_server.call("PUBLISH", "news", b"f" * 1_000_000) == 1
            yield
    with FastClients(gate, redis_server) as fast:
        compare(figure, "a subscriber that does not read", fast, unread)


def test_respgate_closes_a_subscriber_that_never_reads(start_respgate, start_redis):
    """After slow_client_timeout, with a line in the log; its subscription ends."""
    redis_server = start_redis(config=HOLDS_ALL)
    gate = start_respgate(redis_server, settings={**PATIENT, "listen.slow_client_timeout": "300ms"})
    with subscribe(gate, redis_server) as client:
        for _ in range(20):
            assert redis_server.call("PUBLISH", "news", b"f" * 1_000_000) == 1
        assert "does not read its replies" in gate.wait_for_log("client closed")
        assert closed_within(client.socket, 5)
    wait_until(lambda: redis_server.call("PUBSUB", "NUMSUB", "news")[1] == 0, what="the subscription to end")


def test_a_subscriber_that_the_backend_closes_is_closed(start_respgate, start_redis):
    """Redis's own bound: when the client reads on, its messages come to an end, and the log has the reason."""
    redis_server = start_redis(config={"client-output-buffer-limit": "pubsub 4mb 4mb 60"})
    gate = start_respgate(redis_server, settings=PATIENT)
    with subscribe(gate, redis_server) as client:
        sent = 0
        while redis_server.call("PUBLISH", "news", b"f" * 1_000_000) and sent < 100:
            sent += 1
        assert sent < 100, "Redis did not close the connection"
        assert closed_within(client.socket, 5)
        gate.wait_for_log("its backend connection held session state and is lost")
