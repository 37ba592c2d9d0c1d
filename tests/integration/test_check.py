"""respgate check: every step towards each backend, which one failed, and the exit code that tells how."""

import json
import socket
import threading

import pytest

from harness import free_port, run_respgate


def env_of(**urls):
    """RESPGATE_BACKEND_<NAME>_URL for each."""
    return {f"RESPGATE_BACKEND_{name.upper()}_URL": url for name, url in urls.items()}


def check(env, *arguments):
    """The exit code, and each backend's line or JSON object by its name."""
    done = run_respgate("check", "--connect", *arguments, env=env, timeout=20)
    assert done.stderr == ""
    if "--json" in arguments:
        return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["backends"]}
    return done.returncode, {line.split()[0]: line for line in done.stdout.splitlines()}


def test_offline_it_says_what_is_configured(redis_server):
    done = run_respgate("check", env={**env_of(a=redis_server.url(password="hush-hush"), b="redis://127.0.0.1:1/3"),
                                      "RESPGATE_BACKEND_B_PRIORITY": "5", "RESPGATE_BACKEND_A_DATASET": "local"})
    assert done.returncode == 0 and "hush-hush" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("configuration ok, digest ")
    assert [line.split()[0] for line in lines[1:]] == ["b", "a"]
    assert "priority 5, dataset b" in lines[1] and "priority 100, dataset local" in lines[2]


def test_a_wrong_configuration_is_78():
    done = run_respgate("check", env=env_of(a="http://x/"))
    assert done.returncode == 78 and "REST" in done.stderr


def test_a_good_backend_passes_every_step(redis_server):
    code, lines = check(env_of(a=redis_server.url()))
    assert code == 0
    for word in ("ok in ", "tcp ", "ping ", "role master"):
        assert word in lines["a"]


def test_each_failing_step_is_named(start_redis):
    locked = start_redis(config={"requirepass": "right"})
    primary = start_redis()
    replica = start_redis(config={"replicaof": f"127.0.0.1 {primary.port}"})
    paused = start_redis()
    paused.pause()
    env = env_of(good=primary.url(), refused=f"redis://127.0.0.1:{free_port()}", name="redis://name.invalid",
                 password=locked.url(password="wrong"), nologin=locked.url(db=1), replica=replica.url(),
                 paused=paused.url())
    env["RESPGATE_HEALTH_TIMEOUT"] = "300ms"
    code, found = check(env, "--json")
    paused.resume()
    assert code == 3
    steps = {name: (one["step"], one["cause"]) for name, one in found.items()}
    assert steps == {"good": ("", "none"), "refused": ("tcp", "refused"), "name": ("dns", "dns"),
                     "password": ("auth", "auth"), "nologin": ("ping", "auth"), "replica": ("role", "role"),
                     "paused": ("ping", "timeout")}
    assert "WRONGPASS" in found["password"]["reason"] and "wrong" not in json.dumps(found["password"]["url"])
    assert f"replica of 127.0.0.1:{primary.port}" in found["replica"]["reason"]
    assert "300 ms" in found["paused"]["reason"] and "name.invalid" in found["name"]["reason"]


def test_only_unreachable_is_2():
    code, _ = check(env_of(a=f"redis://127.0.0.1:{free_port()}"))
    assert code == 2


@pytest.mark.parametrize("label, code", [("local", 0), ("other", 3), (None, 0)])
def test_the_label_of_a_data_set_is_compared_when_both_sides_have_one(redis_server, label, code):
    if label:
        redis_server.call("SET", "respgate:dataset", label)
    env = {**env_of(a=redis_server.url()), "RESPGATE_BACKEND_A_DATASET": "local"}
    got, lines = check(env)
    assert got == code
    if code:
        assert "FAILED at dataset" in lines["a"] and "'other'" in lines["a"] and "'local'" in lines["a"]


def test_who_may_not_ask_for_the_role_still_passes(start_redis):
    limited = start_redis(config={"user": ["bob on >pw ~* &* +@all -info -role"]})
    code, lines = check(env_of(a=limited.url(user="bob", password="pw")))
    assert code == 0 and "role master" not in lines["a"]


def test_a_metered_backend_is_only_sent_what_is_free(redis_server):
    env = {**env_of(a=redis_server.url()), "RESPGATE_BACKEND_A_METERED": "yes", "RESPGATE_BACKEND_A_DATASET": "x"}
    redis_server.call("CONFIG", "RESETSTAT")
    code, _ = check(env)
    assert code == 0
    stats = redis_server.call("INFO", "commandstats").decode()
    sent = {line.split(":")[0].removeprefix("cmdstat_") for line in stats.splitlines() if line.startswith("cmdstat_")}
    assert sent - {"config|resetstat"} <= {"ping", "info", "auth", "hello"}


def test_a_port_where_nobody_answers_is_out_of_time():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        # The kernel accepts; nobody answers.
        env = {**env_of(a=f"redis://127.0.0.1:{server.getsockname()[1]}"), "RESPGATE_HEALTH_TIMEOUT": "200ms"}
        code, lines = check(env)
    assert code == 2 and "FAILED at ping: no answer at ping within 200 ms" in lines["a"]


def test_plain_text_is_known_for_what_it_is_however_fast_it_comes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def answer_at_once():
            while not stop.is_set():
                peer = server.accept()[0]
                with peer:
                    peer.recv(1)
                    peer.sendall(b"-ERR unknown command\r\n")
                    peer.recv(1 << 16)

        thread = threading.Thread(target=answer_at_once)
        thread.start()
        try:
            for _ in range(20):
                code, backends = check(env_of(a=f"rediss://127.0.0.1:{server.getsockname()[1]}"))
                assert code == 3 and "backend speaks plain text, not TLS" in backends["a"]
        finally:
            stop.set()
            socket.create_connection(server.getsockname()).close()
            thread.join()
