"""TLS to a backend when bytes come in pieces, come without end, or end where they must not."""

import contextlib
import subprocess
import threading
import time

import pytest
import redis

from certs import certificates
from faultproxy import FaultProxy
from harness import ErrorReply, WireError, free_port, wait_until
from test_tls import SECRET, check, run_session, start_tls, trust  # noqa: F401 (start_tls is a fixture)
from tls_server import CuttingTls
from upstash import PASSWORD, UpstashStandIn


@pytest.mark.parametrize("slice_len", [1, 7, 100])
def test_pieces_of_any_size_are_the_same_bytes(start_tls, start_respgate, slice_len):  # noqa: F811
    hosted = start_tls(UpstashStandIn)
    with FaultProxy(hosted.port) as proxy:
        proxy.say(f"slice {slice_len}")
        gate = start_respgate(proxy.url("rediss", f"default:{PASSWORD}@"), env=trust())
        gate.wait_for_log("msg=selected")
        with gate.connect(timeout=60) as client:
            value = bytes(range(256)) * 8
            for number in range(20):
                client.command("SET", f"k{number}", value)
                client.command("GET", f"k{number}")
            assert [client.read_value() for _ in range(40)] == ["OK", value] * 20
        if slice_len == 100:
            session = redis.Redis.from_url(gate.url())
            run_session(session)
            session.close()
        assert "backend down" not in gate.log()


@pytest.mark.parametrize("len_of, cut", [(200, 5), (200, 150), (1_000_000, 100), (1_000_000, 60_000)])
def test_a_value_that_ends_within_is_never_delivered_as_whole(redis_server, start_respgate, len_of, cut):
    redis_server.call("SET", "value", "v" * len_of)
    with CuttingTls(redis_server.port) as peer:
        gate = start_respgate(f"rediss://127.0.0.1:{peer.port}", env=trust())
        with gate.connect() as client:
            assert client.call("GET", "value") == b"v" * len_of
            peer.cut_after = cut
            client.command("GET", "value")
            try:
                reply = client.read_value()
            except (WireError, OSError):
                reply = "closed"
            assert peer.cuts > 0
            peer.cut_after = None
            assert reply == "closed" or isinstance(reply, ErrorReply) and str(reply).startswith("RGUNKNOWN"), reply[:99]
        with gate.connect() as client:
            wait_until(lambda: client.call("GET", "value") == b"v" * len_of, what="it to go on")


def test_a_peer_that_renews_keys_without_end_is_given_up(tmp_path):
    """TLS 1.3 KeyUpdate, as often as the openssl tool can, in place of an answer to the login."""
    port, log = free_port(), tmp_path / "s_server"
    cert, key = certificates().certificate("good")
    argv = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-tls1_3"]
    with open(log, "wb") as output, subprocess.Popen(argv, bufsize=0, stdin=subprocess.PIPE, stdout=output,
                                                     stderr=output) as peer:
        try:
            wait_until(lambda: "ACCEPT" in log.read_text(errors="replace"), what="openssl to listen")
            ended = threading.Event()
            flood = threading.Thread(target=renew_keys, args=(peer, ended), daemon=True)
            flood.start()
            begun = time.monotonic()
            code, result = check(port)
            taken = time.monotonic() - begun
            ended.set()
            flood.join(10)
        finally:
            peer.kill()
    assert (code, result["reason"]) == (2, "backend floods us with handshake messages") and taken < 0.6


def renew_keys(peer, ended):
    """Tell s_server so, again and again, until it is ended or killed."""
    with contextlib.suppress(BrokenPipeError):
        while not ended.is_set():
            peer.stdin.write(b"k\n")
