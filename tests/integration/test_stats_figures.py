"""What being watched costs: a scrape beside 10,000 clients, and clients beside 100 scrapes a second."""

import contextlib
import http.client
import socket
import statistics
import threading
import time

import pytest

from bounds import FastClients, allow_descriptors, compare
from harness import wait_until
from stats_view import fetch, wait_for_metric

pytestmark = pytest.mark.figures

CLIENTS, SCRAPES, SCRAPE_MAX_MS = 10_000, 40, 5.0
SCRAPES_PER_SECOND = 100


def scrape_ms(connection, path):
    """How long one page takes over a connection that stays open."""
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read()
    return (time.perf_counter() - begun) * 1000


def test_a_scrape_beside_many_clients_is_short(start_respgate, redis_server, figure):
    assert allow_descriptors() > CLIENTS + 300, "the hard limit of descriptors is too low for this test"
    gate = start_respgate(redis_server, settings={"listen.max_clients": CLIENTS})
    sockets = [socket.create_connection(("127.0.0.1", gate.port), 10) for _ in range(CLIENTS)]
    wait_for_metric(gate, "respgate_client_connections", CLIENTS)
    wait_until(lambda: f'"clients_connected":{CLIENTS}' in fetch(gate, "/stats.json")[1], what="all of them listed")
    connection = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
    for path in ("/metrics", "/stats.json", "/top"):
        times = [scrape_ms(connection, path) for _ in range(SCRAPES)]
        median = statistics.median(times)
        figure(f"{path} with {CLIENTS} clients: median {median:.1f} ms, best {min(times):.1f} ms (at most "
               f"{SCRAPE_MAX_MS:.0f})")
        assert min(times) <= SCRAPE_MAX_MS, f"{path}: {times}"
    connection.close()
    for sock in sockets:
        sock.close()


def test_clients_do_not_notice_a_hundred_scrapes_a_second(start_respgate, redis_server, figure):
    gate = start_respgate(redis_server)
    wait_until(lambda: fetch(gate, "/readyz")[0] == 200, what="ready")

    @contextlib.contextmanager
    def scraped():
        over, taken = threading.Event(), []

        def scrape():
            connection = http.client.HTTPConnection("127.0.0.1", gate.stats_port, timeout=10)
            while not over.wait(1 / SCRAPES_PER_SECOND):
                taken.append(scrape_ms(connection, "/metrics"))
            connection.close()
        thread = threading.Thread(target=scrape)
        thread.start()
        wait_until(lambda: taken, what="the first scrape")
        try:
            yield
        finally:
            over.set()
            thread.join()
    with FastClients(gate, redis_server) as fast:
        compare(figure, f"{SCRAPES_PER_SECOND} scrapes a second", fast, scraped)
