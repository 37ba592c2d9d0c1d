"""Proves the command line: exit codes, all configuration mistakes at once, the log's promises, signals."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import fields, minimal_env, respgate_binary, respgate_env, run_respgate as run, wait_until

SECRET = "correct-horse-battery"


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run", "--fly"), ("run", "-c"), ("run", "--set"),
                                       ("run", "stray"), ("config", "--fly"), ("version", "stray"), ("run", "--expect"),
                                       ("config", "--expect", "default"), ("run", "--override"),
                                       ("run", "--override", "everything")])
def test_usage_errors_exit_64_and_say_how(arguments):
    done = run(*arguments, env=minimal_env())
    assert done.returncode == 64
    assert "usage" in done.stderr.lower()
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("run", "-h"), ("config", "--help")])
def test_help_is_asked_for_and_goes_to_stdout(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    assert "usage" in done.stdout.lower()
    assert done.stderr == ""


def test_version_names_itself_and_its_libraries():
    done = run("version")
    assert done.returncode == 0
    assert re.match(r"respgate \d+\.\d+\.\d+", done.stdout)
    for library in ("libevent", "hiredis", "OpenSSL"):
        assert library.lower() in done.stdout.lower()


def test_version_for_machines_says_what_was_built():
    done = run("version", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, list(told)) == (0, ["version", "commit", "build", "compiler", "libevent", "hiredis", "openssl"])
    assert re.fullmatch(r"[0-9a-f]{12,40}(-dirty)?|unknown", told["commit"])
    assert all(re.match(r"\d+\.\d+", told[key]) for key in ("version", "libevent", "hiredis", "openssl"))
    plain = run("version").stdout
    assert all(told[key] in plain for key in ("version", "commit", "build"))


def test_all_configuration_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "respgate.ini"
    path.write_text("[listen]\nmax_args = 3\nspeed = 9\n\n[nowhere]\nx = 1\n[backend default]\nurl = http://x/\n")
    env = {"RESPGATE_LISTEN_MAX_CLIENTS": "many"}
    done = run("run", "-c", str(path), "--set", "listen.pipeline_depth=0", env=env)
    assert done.returncode == 78
    for part in (f"{path}:2: listen.max_args", f"{path}:3:", f"{path}:5:", f"{path}:8: backend.default.url",
                 "env RESPGATE_LISTEN_MAX_CLIENTS: listen.max_clients", "--set: listen.pipeline_depth"):
        assert part in done.stderr, f"{part!r} is not in:\n{done.stderr}"


def test_a_configuration_mistake_means_nothing_is_listened_on():
    env = minimal_env(RESPGATE_LISTEN_MAX_CLIENTS="many")
    done = run("run", env=env)
    assert done.returncode == 78
    port = int(env["RESPGATE_LISTEN_ADDRESS"].rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("subcommand", ["run", "config"])
def test_layers_that_name_different_backends_refuse_to_start(subcommand, tmp_path):
    path = tmp_path / "respgate.ini"
    path.write_text("[backend default]\nurl = redis://127.0.0.1:1/0\n")
    env = minimal_env(RESPGATE_BACKEND_URL="redis://127.0.0.1:1/7")
    done = run(subcommand, "-c", str(path), env=env)
    assert done.returncode == 78
    assert "env RESPGATE_BACKEND_URL: backend.default.url: " in done.stderr and f"{path}:2" in done.stderr


def test_layers_may_name_different_backends_when_told_so(tmp_path):
    path = tmp_path / "respgate.ini"
    path.write_text("[backend default]\nurl = redis://127.0.0.1:1/0\n")
    env = minimal_env(RESPGATE_BACKEND_URL="redis://127.0.0.1:1/7")
    done = run("config", "-c", str(path), "--override", "backend", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^backend\.default\.url += redis://127\.0\.0\.1:1/7$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("arguments, origin", [(("--expect", "docker"), "--expect"), ((), "env RESPGATE_EXPECT")])
def test_an_expected_backend_must_exist(arguments, origin):
    done = run("run", *arguments, env=minimal_env(RESPGATE_EXPECT="upstash"))
    assert done.returncode == 78
    assert f"{origin}: there is no backend" in done.stderr and "but default" in done.stderr


def test_the_application_s_variable_that_leads_to_ourselves_is_refused():
    env = minimal_env()
    del env["RESPGATE_BACKEND_URL"]
    env |= {"REDIS_URL": f"redis://{env['RESPGATE_LISTEN_ADDRESS']}/0", "RESPGATE_BACKEND_URL_ENV": "REDIS_URL"}
    done = run("run", env=env)
    assert done.returncode == 78
    assert "is our own listener" in done.stderr


def test_no_backend_is_a_configuration_mistake():
    done = run("run")
    assert done.returncode == 78
    assert "backend" in done.stderr


def test_a_missing_file_is_a_configuration_mistake(tmp_path):
    done = run("run", "-c", str(tmp_path / "none.ini"), env=minimal_env())
    assert done.returncode == 78
    assert "none.ini" in done.stderr


def test_the_printed_example_is_a_valid_file(tmp_path):
    example = run("config", "--example")
    assert example.returncode == 0
    path = tmp_path / "example.ini"
    path.write_text(example.stdout)
    done = run("config", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")


def test_config_shows_origin_and_what_is_shadowed(tmp_path):
    path = tmp_path / "respgate.ini"
    path.write_text("[listen]\nmax_clients = 11\n[backend default]\nurl = redis://127.0.0.1:1/0\n")
    env = {"RESPGATE_LISTEN_MAX_CLIENTS": "12"}
    done = run("config", "-c", str(path), "--origins", "--set", "listen.max_clients=13", env=env)
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith(("max_clients", "listen.max_clients")))
    for part in ("13", "--set", "12", "env RESPGATE_LISTEN_MAX_CLIENTS", "11", f"{path}:2"):
        assert part in line, f"{part!r} is not in: {line}"


def config_outputs(env):
    """Everything `respgate config` can print."""
    forms = [("config",), ("config", "--origins"), ("config", "--json"), ("config", "--origins", "--json")]
    return [run(*form, env=env) for form in forms]


def test_secrets_are_in_no_output(start_redis, start_respgate):
    redis = start_redis(config={"requirepass": SECRET})
    env = {"RESPGATE_LISTEN_AUTH": "password", "RESPGATE_LISTEN_PASSWORD": SECRET + "-2"}
    gate = start_respgate(redis.url(password=SECRET), env=env, settings={"log.level": "debug"})
    client = gate.connect()
    assert client.call("AUTH", SECRET + "-2") == "OK"
    assert client.call("SET", "k", "v") == "OK"
    argv = open(f"/proc/{gate.pid}/cmdline", encoding="utf-8").read()
    assert gate.stop() == 0
    env["RESPGATE_BACKEND_URL"] = redis.url(password=SECRET)
    texts = [gate.log(), argv]
    for done in config_outputs(env):
        assert done.returncode == 0 and "***" in done.stdout
        texts += [done.stdout, done.stderr]
    assert not [text for text in texts if SECRET in text]


@pytest.mark.parametrize("url", [f"redis://:{SECRET}@127.0.0.1:notaport/0", f"redis:/{SECRET}@x", SECRET,
                                 f"redis://{SECRET}@127.0.0.1/x", f"redis://u:{SECRET}%zz@127.0.0.1/0"])
def test_secrets_are_in_no_error(url):
    done = run("run", env={"RESPGATE_BACKEND_URL": url})
    assert done.returncode == 78
    assert SECRET not in done.stderr + done.stdout


def test_ignored_redis_variables_are_named_not_shown(start_respgate, redis_server):
    gate = start_respgate(redis_server, env={"REDIS_URL": f"redis://:{SECRET}@example.invalid"})
    gate.wait_for_log("REDIS_URL")
    assert SECRET not in gate.log()


def test_first_log_line_names_what_was_overridden(start_respgate, redis_server):
    gate = start_respgate(redis_server, env={"RESPGATE_LISTEN_MAX_CLIENTS": "12", "RESPGATE_LOG_LEVEL": "debug"},
                          settings={"listen.max_clients": 13, "listen.max_args": 99})
    first = fields(gate.log().splitlines()[0])
    assert (first["msg"], first["overrides"], first["overridden"]) == ("starting", "1", "listen.max_clients")


def test_json_log_lines_are_json(start_respgate, redis_server):
    gate = start_respgate(redis_server, settings={"log.format": "json", "log.level": "debug"},
                          env={"REDIS_URL": "redis://x"})
    client = gate.connect()
    client.send(b"*1\r\n$1\r\n\"\n\r\n*x\r\n")
    client.socket.settimeout(10)
    while client.socket.recv(4096):
        pass
    gate.signal(signal.SIGHUP)
    gate.wait_for_log("configuration reloaded")
    assert gate.stop() == 0
    lines = [json.loads(line) for line in gate.log().splitlines()]
    assert {"starting", "listening", "selected", "configuration reloaded", "draining", "ledger"} <= {line["msg"] for line in lines}
    assert all({"time", "level"} <= line.keys() for line in lines)


@pytest.mark.figures
def test_first_log_line_comes_within_20_ms(figure):
    def milliseconds():
        start = time.monotonic()
        with subprocess.Popen([respgate_binary(), "run"], env=respgate_env(minimal_env()), stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as child:
            assert re.search(rb" msg=starting .*\n$", child.stderr.readline())
            taken = (time.monotonic() - start) * 1000
            child.kill()
        return taken

    median = sorted(milliseconds() for _ in range(9))[4]
    figure(f"first log line {median:.1f} ms after start, median of 9 (at most 20)")
    assert median <= 20


def test_each_log_line_is_one_write(tmp_path):
    trace = tmp_path / "trace"
    env = respgate_env(minimal_env())
    env["ASAN_OPTIONS"] = "detect_leaks=0"  # the leak check cannot run beneath a tracer
    # A file for each thread: in one file a call is cut in two when another thread's comes between.
    argv = ["strace", "-ff", "-qq", "-s", "65536", "-e", "trace=write,writev,sendto,sendmsg", "-o", str(trace)]
    log = tmp_path / "log"
    with open(log, "wb") as output:
        tracer = subprocess.Popen([*argv, respgate_binary(), "run"], env=env, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=output)
    try:
        wait_until(lambda: "listening" in log.read_text(), what=log.read_text)
        respgate_pid = int(open(f"/proc/{tracer.pid}/task/{tracer.pid}/children", encoding="ascii").read())
        subprocess.run(["kill", str(respgate_pid)], check=True)
        tracer.wait(10)
    finally:
        tracer.kill()
        tracer.wait()
    calls = "".join(path.read_text() for path in tmp_path.glob("trace.*"))
    writes = re.findall(r'\bwrite\(2, "((?:[^"\\]|\\.)*)", \d+\)', calls)
    assert [text for text in writes if text.count("\\n") != 1 or not text.endswith("\\n")] == []
    assert len(writes) == len(log.read_text().splitlines()) >= 3


def seconds_to_end(gate):
    """How long it lives from now on."""
    start = time.monotonic()
    gate.child.wait(10)
    return time.monotonic() - start


@pytest.mark.threads
def test_sigterm_ends_an_idle_one_within_a_second(respgate, figure):
    idle = respgate.connect()
    assert idle.call("PING") == "PONG"
    respgate.signal(signal.SIGTERM)
    taken = seconds_to_end(respgate)
    figure(f"SIGTERM to exit when idle: {taken * 1000:.0f} ms (at most 1000)")
    assert respgate.exit_code == 0
    assert taken <= 1
    assert idle.at_eof()


def test_sigterm_drains_as_soon_as_it_listens():
    for _ in range(20):
        with subprocess.Popen([respgate_binary(), "run"], env=respgate_env(minimal_env()), stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as child:
            while "listening" not in (line := child.stderr.readline()):
                assert line
            child.terminate()
            rest = child.stderr.read()
        assert child.returncode == 0
        assert "draining" in rest


@pytest.mark.threads
def lanes(redis_server):
    """The ids of all connections to Redis but the one that asks."""
    lines = redis_server.call("CLIENT", "LIST").decode().splitlines()
    return {line.split()[0] for line in lines if "cmd=client|list" not in line}


def test_sighup_with_nothing_changed_changes_nothing(respgate, redis_server):
    client = respgate.connect()
    assert client.call("SET", "k", "v") == "OK"
    before = lanes(redis_server)
    respgate.signal(signal.SIGHUP)
    respgate.wait_for_log("configuration reloaded")
    assert client.call("GET", "k") == b"v"
    assert before and before <= lanes(redis_server), "a connection was given up"
    assert respgate.connect().call("PING") == "PONG"  # taken under the settings of now


@pytest.mark.parametrize("line", ["workers = 5", "unix_socket = {dir}/gate.sock"])
def test_sighup_refuses_whole_what_only_a_restart_changes(start_respgate, redis_server, tmp_path, line):
    path = tmp_path / "gate.ini"
    path.write_text("[fallback]\nqueue_timeout = 1s\n")
    gate = start_respgate(redis_server, env={"RESPGATE_CONFIG": str(path)})
    gate.wait_for_log("msg=selected")
    path.write_text(f"[listen]\n{line.format(dir=tmp_path)}\n[fallback]\nqueue_timeout = 2s\n")
    gate.signal(signal.SIGHUP)
    assert f"listen.{line.split()[0]}" in gate.wait_for_log("configuration not reloaded")


@pytest.mark.threads
def test_sigterm_lets_a_request_in_flight_finish(respgate, redis_server):
    client = respgate.connect()
    assert client.call("SET", "k", "v") == "OK"
    redis_server.pause()
    client.command("GET", "k")
    respgate.signal(signal.SIGTERM)
    respgate.wait_for_log("drain")
    redis_server.resume()
    assert client.read_value() == b"v"
    assert client.at_eof()
    assert respgate.child.wait(10) == 0


@pytest.mark.threads
def test_second_sigterm_ends_at_once(start_respgate, redis_server):
    gate = start_respgate(redis_server, expect_exit=None)
    client = gate.connect()
    assert client.call("SET", "k", "v") == "OK"
    redis_server.pause()
    client.command("GET", "k")
    gate.signal(signal.SIGTERM)
    gate.wait_for_log("drain")
    assert gate.exit_code is None
    gate.signal(signal.SIGTERM)
    assert seconds_to_end(gate) <= 1
    assert gate.exit_code is not None
