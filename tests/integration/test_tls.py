"""Backends over TLS: who is refused and why, that no credential reaches them, and that all else works as in plain."""

import json
import shutil
import signal
import socket
import ssl
import threading

import pytest
import redis

from certs import certificates
from harness import free_port, run_respgate, wait_until
from test_clients_node import run_script
from test_switch import status
from tls_server import ListeningTls
from upstash import READ_ONLY_PASSWORD, TlsServer, UpstashStandIn

SECRET = "hush-hush-hush"


def trust():
    """The environment that trusts our CA."""
    return {"RESPGATE_TLS_CA_FILE": certificates().ca}


@pytest.fixture
def start_tls(tmp_path):
    """Factory: a running TlsServer, or another class of it."""
    started = []

    def start(kind=TlsServer, **kwargs):
        server = kind(tmp_path, **kwargs)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


def check(port, host="127.0.0.1", **env):
    """respgate check --connect on a backend at that port: the exit code and its JSON."""
    done = run_respgate("check", "--connect", "--json", env={
        "RESPGATE_BACKEND_A_URL": f"rediss://:{SECRET}@{host}:{port}", "RESPGATE_BACKEND_A_CONNECT_TIMEOUT": "600ms",
        **trust(), **env})
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)["backends"][0]


# ---- refusals ----

REFUSED = [
    ("expired", {}, "certificate expired on 2021-01-01"),
    ("future", {}, "certificate is not valid before 2090-01-01"),
    ("wrong-name", {}, "certificate is for elsewhere.example, 127.0.0.99, not for 127.0.0.1"),
    ("wrong-ip", {}, "certificate is for localhost, 127.0.0.99, not for 127.0.0.1"),
    ("common-name", {}, "certificate names only a common name"),
    ("partial-wildcard", {}, "certificate is for local*.example, not for 127.0.0.1"),
    ("self-signed", {}, "certificate is self-signed"),
    ("unknown-ca", {}, "certificate is signed by an unknown CA"),
    ("rsa-1024", {}, "certificate key is too weak"),
    ("sha-1", {}, "certificate signature is too weak"),
    ("client-only", {}, "certificate is not for servers"),
    ("good", {"version": ssl.TLSVersion.TLSv1_1}, "backend speaks no TLS >= 1.2"),
    ("good", {"version": ssl.TLSVersion.TLSv1_2, "ciphers": "eNULL:@SECLEVEL=0"}, "no common cipher"),
    ("good", {"plain": b"-NOAUTH Authentication required.\r\n"}, "backend speaks plain text, not TLS"),
]


@pytest.mark.parametrize("kind, server, reason", REFUSED, ids=[row[2].replace(" ", "-") for row in REFUSED])
def test_a_wrong_peer_is_refused_with_its_own_reason_and_no_credentials(kind, server, reason):
    with ListeningTls(kind, **server) as peer:
        code, result = check(peer.port)
    assert (code, result["step"], result["cause"], result["reason"]) == (3, "tls", "tls", reason)
    assert peer.received == b""


def test_the_reasons_differ():
    assert len({row[2] for row in REFUSED}) == len(REFUSED)


def test_the_good_peer_is_not_refused():
    with ListeningTls("good") as peer:
        _, result = check(peer.port)
        assert result["step"] == "auth"
        wait_until(lambda: SECRET.encode() in peer.received, what="the login: this server can see credentials")


@pytest.mark.parametrize("host, names", [("127.0.0.1", [None]), ("localhost", ["localhost"])])
def test_the_name_that_is_sent_is_the_one_that_is_verified(host, names):
    with ListeningTls("good") as peer:
        check(peer.port, host)
    assert peer.names == names


@pytest.mark.parametrize("kind, server, reason", REFUSED, ids=[row[2].replace(" ", "-") for row in REFUSED])
def test_running_it_says_why_in_the_log_and_sends_no_byte_of_clients(start_respgate, kind, server, reason):
    with ListeningTls(kind, **server) as peer:
        gate = start_respgate(f"rediss://:{SECRET}@127.0.0.1:{peer.port}", env=trust(),
                              settings={"fallback.queue_timeout": "100ms"})
        line = gate.wait_for_log("backend down")
        assert f'reason="{reason}"' in line and "state=wrong" in line
        with gate.connect() as client:
            assert str(client.call("SET", "canary", "x")).startswith("RGUNAVAIL")
        assert SECRET not in gate.log()
    assert peer.received == b""


def stall(client):
    """Say nothing at all."""
    client.recv(65536)
    client.recv(65536)


def reset(client):
    """End the connection in the middle of the handshake."""
    client.recv(65536)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def end(client):
    """The same, politely."""
    client.recv(65536)


@pytest.mark.parametrize("way, cause, words", [(stall, "timeout", "no answer at tls within 600 ms"),
                                               (reset, "lost", "within the handshake"),
                                               (end, "lost", "connection ended within the handshake")])
def test_a_handshake_that_comes_to_no_end(way, cause, words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            client, _ = listener.accept()
            with client:
                way(client)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        code, result = check(listener.getsockname()[1])
        thread.join(10)
    assert (code, result["step"], result["cause"]) == (2, "tls", cause) and words in result["reason"]


def test_a_plain_url_to_a_tls_port_is_explained(start_tls):
    server = start_tls()
    done = run_respgate("check", "--connect", env={"RESPGATE_BACKEND_A_URL": f"redis://127.0.0.1:{server.port}"})
    assert done.returncode == 2 and "the URL must begin with rediss://" in done.stdout


@pytest.mark.parametrize("answer, code", [(b"\x15\x03\x03\x00\x02\x02\x46", 3), (b"", 2)], ids=["alert", "end"])
@pytest.mark.parametrize("login", [f":{SECRET}", f"someone:{SECRET}"], ids=["password", "user"])
def test_a_plain_url_to_a_tls_port_sends_no_credentials(login, answer, code):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            client, _ = listener.accept()
            with client:
                heard.append(client.recv(65536))
                client.sendall(answer)
                client.shutdown(socket.SHUT_WR)
                while data := client.recv(65536):
                    heard.append(data)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done = run_respgate("check", "--connect", env={
            "RESPGATE_BACKEND_A_URL": f"redis://{login}@127.0.0.1:{listener.getsockname()[1]}"})
        thread.join(10)
        assert not thread.is_alive()
    assert done.returncode == code and "the URL must begin with rediss://" in done.stdout
    assert b"".join(heard) == b"*1\r\n$4\r\nPING\r\n"


def test_files_that_cannot_be_used_are_a_configuration_mistake(tmp_path):
    (tmp_path / "empty.pem").write_text("")
    cert, _ = certificates().certificate("client")
    _, key = certificates().certificate("good")
    base = {"RESPGATE_BACKEND_A_URL": "rediss://127.0.0.1:1"}
    for env in ({"RESPGATE_TLS_CA_FILE": str(tmp_path / "none.pem")},
                {"RESPGATE_TLS_CA_FILE": str(tmp_path / "empty.pem")},
                {**trust(), "RESPGATE_TLS_CERT_FILE": cert, "RESPGATE_TLS_KEY_FILE": key}):
        done = run_respgate("check", env={**base, **env})
        assert done.returncode == 78 and "backend.a" in done.stderr, done.stderr


# ---- all else works ----

def run_session(client):
    """What the same application code does on any backend."""
    assert client.set("greeting", "hello") and client.get("greeting") == b"hello"
    pipe = client.pipeline(transaction=True)
    pipe.incr("n").incr("n").get("n")
    assert pipe.execute() == [1, 2, b"2"]
    with client.pipeline() as watched:
        watched.watch("n")
        watched.multi()
        watched.set("n", 10)
        assert watched.execute() == [True]
    big = bytes(range(256)) * 4096
    assert client.set("big", big) and client.get("big") == big
    assert client.rpush("jobs", "one") == 1 and client.blpop("jobs", 5) == (b"jobs", b"one")
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("news")
    wait_until(lambda: client.publish("news", "x") == 1, what="the subscription")
    assert wait_until(lambda: listener.get_message(timeout=0.1), what="the message")["data"] == b"x"
    listener.close()
    script = client.register_script("return redis.call('incr', KEYS[1])")
    assert script(keys=["s"]) == 1 and script(keys=["s"]) == 2
    assert sorted(client.scan_iter(count=1))[:2] == [b"big", b"greeting"]


@pytest.mark.threads
def test_the_same_client_code_on_a_plain_redis_and_on_the_hosted_one(start_redis, start_tls, start_respgate):
    plain, hosted = start_redis(), start_tls(UpstashStandIn)
    for backend in (plain, hosted):
        gate = start_respgate(backend, env=trust(), settings={"backend.default.metered": "yes"})
        client = redis.Redis.from_url(gate.url())
        run_session(client)
        client.close()


def test_a_node_program_that_test_clients_node_runs_on_a_plain_redis(start_tls, start_respgate):
    hosted = start_tls(UpstashStandIn)
    gate = start_respgate(hosted, env=trust())
    run_script("bullmq.js ioredis", gate.url(), hosted)


def test_what_the_hosted_one_refuses_reaches_the_client_in_its_words(start_tls, start_respgate):
    gate = start_respgate(start_tls(UpstashStandIn), env=trust())
    with gate.connect() as client:
        assert str(client.call("OBJECT", "ENCODING", "k")).startswith("ERR unknown command 'OBJECT'")
        assert "NOPERM" in str(client.call("CONFIG", "RESETSTAT"))
        assert "out of range" in str(client.call("SELECT", "1"))


def test_a_read_only_user_is_used_and_cannot_write(start_tls, start_respgate):
    hosted = start_tls(UpstashStandIn)
    gate = start_respgate(hosted.url(user="default_ro", password=READ_ONLY_PASSWORD), env=trust())
    with gate.connect() as client:
        assert client.call("GET", "k") is None
        assert str(client.call("SET", "k", "v")).startswith("NOPERM")
        assert status(client)["ready"] == "yes"


def test_idle_connections_that_the_hosted_one_closes_are_not_noticed(start_tls, start_respgate):
    hosted = start_tls(UpstashStandIn)
    gate = start_respgate(hosted, env=trust(), settings={"backend.default.metered": "yes"})
    with gate.connect() as client, hosted.login() as witness:
        assert client.call("SET", "k", "v") == "OK"
        wait_until(lambda: witness.call("PING") == "PONG" and
                   witness.call("CLIENT", "LIST").count(b"id=") == 1, 20, what="the idle lane to be closed")
        assert client.call("GET", "k") == b"v" and status(client)["backend"] == "default"
    assert "backend down" not in gate.log()


@pytest.mark.threads
def test_a_client_certificate_is_shown_when_asked_for(start_tls, start_respgate):
    server = start_tls(client_certificates=True)
    code, result = check(server.port)
    assert code == 3 and "client certificate" in result["reason"]
    cert, key = certificates().certificate("client")
    gate = start_respgate(server, env={**trust(), "RESPGATE_TLS_CERT_FILE": cert, "RESPGATE_TLS_KEY_FILE": key})
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"


def test_a_reload_takes_up_another_ca_and_keeps_what_is_open(start_tls, start_respgate, tmp_path):
    server = start_tls()
    bundle = tmp_path / "trusted.pem"
    shutil.copy(certificates().ca, bundle)
    gate = start_respgate(server, env={"RESPGATE_TLS_CA_FILE": str(bundle)}, settings={
        "health.interval": "200ms", "health.fast_interval": "50ms", "fallback.queue_timeout": "200ms"})
    with gate.connect() as client:
        assert client.call("SET", "k", "v") == "OK"
        shutil.copy(certificates().directory / "other-ca.crt", bundle)
        gate.signal(signal.SIGHUP)
        gate.wait_for_log("configuration reloaded")
        assert client.call("GET", "k") == b"v"
        with server.connect() as witness:
            witness.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert "unknown CA" in gate.wait_for_log("cause=tls")
        wait_until(lambda: str(client.call("GET", "k")).startswith("RGUNAVAIL"), what="no more untrusted answers")
        shutil.copy(certificates().ca, bundle)
        gate.signal(signal.SIGHUP)
        wait_until(lambda: client.call("GET", "k") == b"v", what="trust to be back")


def test_sessions_are_resumed_but_not_under_another_trust(start_respgate, tmp_path):
    bundle = tmp_path / "trusted.pem"
    shutil.copy(certificates().ca, bundle)
    with ListeningTls("good") as peer:
        peer.context.num_tickets = 2
        gate = start_respgate(f"rediss://127.0.0.1:{peer.port}", env={"RESPGATE_TLS_CA_FILE": str(bundle)}, settings={
            "health.interval": "100ms", "health.fast_interval": "20ms", "health.timeout": "30ms",
            "backend.default.connect_timeout": "30ms"})
        stats = peer.context.session_stats
        wait_until(lambda: stats()["hits"] >= 3, what="sessions to be resumed")
        gate.stop()
        resumed, all_of_them = stats()["hits"], peer.handshakes
    assert resumed >= all_of_them * 0.8 - 1


def test_without_verification_it_says_so_at_every_start(start_respgate):
    with ListeningTls("self-signed") as peer:
        gate = start_respgate(f"rediss://:{SECRET}@127.0.0.1:{peer.port}",
                              settings={"tls.verify": "none", "fallback.queue_timeout": "100ms"})
        assert "verify is none" in gate.wait_for_log("not verified")
        wait_until(lambda: SECRET.encode() in peer.received, what="the login")


def test_nobody_listens(start_respgate):
    gate = start_respgate(f"rediss://127.0.0.1:{free_port()}", env=trust())
    assert "cause=refused" in gate.wait_for_log("backend down")
