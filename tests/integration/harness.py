"""Processes and sockets for the integration tests: a real redis-server, respgate in front of it, raw RESP clients.

Nothing waits by sleeping for a guess: `wait_until` polls a condition and fails with what it was waiting for. Whatever a
test starts is ended by its fixture, and every respgate is asked at its end whether its request ledger balances.
"""

import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from wire import ErrorReply, Push, ReplySplitter, RespConnection, WireError, decode, encode  # noqa: F401 (for tests)

ROOT = Path(__file__).resolve().parents[2]
LEDGER_OUTCOMES = ("replied", "unavailable", "unknown", "state", "limited", "denied", "client_gone")
ORDERLY_EXITS = (0, 75)  # 75: not everybody had left when the time to drain was over
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def port_numbers():
    """Ports below the range from which the kernel takes those of outgoing connections, so that none of these can sit on
    one before a server binds it, or while the server restarts. None comes twice before all the others have, and none
    to two processes that run tests side by side (pytest-xdist)."""
    side = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first, count = 12000 + side * 5000, 5000
    start = random.randrange(count)
    for i in itertools.count(start):
        yield first + i % count


PORTS = port_numbers()


def free_port():
    """A TCP port on loopback that nobody uses now."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def wait_until(condition, timeout=10.0, what="a condition"):
    """Poll until `condition()` is true and return its value; fail with `what` (text, or a function making it)."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what() if callable(what) else what}")
        time.sleep(0.005)


class Process:
    """A child whose output goes to a file in `directory`. `stop` is polite, `kill` is not, both reap it."""

    name = "process"

    def __init__(self, directory, stop_timeout=10.0):
        self.directory = Path(directory)
        self.stop_timeout = stop_timeout
        self.child = None
        self.log_path = None
        self.paused = False

    def spawn(self, argv, env=None):
        """Start argv with stdin closed; refuses (never skips) when the program is not there."""
        if shutil.which(argv[0]) is None:
            raise FileNotFoundError(f"{self.name}: no program {argv[0]}: install or build it, tests do not skip")
        starts = len(list(self.directory.glob(f"{self.name}-*.log")))
        self.log_path = self.directory / f"{self.name}-{starts}.log"
        with open(self.log_path, "wb") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    @property
    def pid(self):
        """The child's process id."""
        return self.child.pid

    @property
    def exit_code(self):
        """None while it runs; negative when a signal ended it."""
        return self.child.poll()

    def log(self):
        """All it wrote so far to stdout and stderr."""
        return self.log_path.read_text(errors="replace") if self.log_path else ""

    def wait_for_log(self, text, timeout=10.0):
        """Wait for a log line that contains `text` and return that line."""
        def find():
            return next((line for line in self.log().splitlines() if text in line), None)
        return wait_until(find, timeout, lambda: f"{text!r} in the log of {self.name}:\n{self.log()[-2000:]}")

    def signal(self, number):
        """Send a signal to this process and to nothing else."""
        if self.child is not None and self.exit_code is None:
            self.child.send_signal(number)

    def pause(self):
        """SIGSTOP: alive for the kernel, silent for its peers."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        """SIGCONT."""
        self.signal(signal.SIGCONT)
        self.paused = False

    def kill(self):
        """SIGKILL and reap; returns the exit code."""
        self.signal(signal.SIGKILL)
        return None if self.child is None else self.child.wait()

    def stop(self):
        """SIGTERM, then SIGKILL when `stop_timeout` has passed; returns the exit code."""
        if self.child is None:
            return None
        if self.paused:  # only then: SIGCONT takes back the stop with which the leak checker halts an ending process
            self.resume()
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def wait_ready(self, ready, timeout=10.0):
        """Wait until `ready()`; a child that died meanwhile fails at once with its log."""
        def check():
            if self.exit_code is not None:
                raise AssertionError(f"{self.name} ended with {self.exit_code} at its start:\n{self.log()[-4000:]}")
            return ready()
        try:
            wait_until(check, timeout, lambda: f"{self.name} to be ready:\n{self.log()[-4000:]}")
        except BaseException:
            self.kill()
            raise


class RedisServer(Process):
    """A real redis-server on 127.0.0.1 without persistence.

    `config` is redis.conf as a dict; a list repeats the key: {"requirepass": "s", "user": ["bob on >pw ~* &* +@all"]}.
    `env` is added to the test's own environment.
    """

    name = "redis"
    binary = "redis-server"

    def __init__(self, directory, port=None, unixsocket=False, config=None, env=None):
        super().__init__(directory)
        self.env = {**os.environ, **(env or {})}
        self.port = port or free_port()
        self.socket_path = self.directory / f"redis-{self.port}.sock" if unixsocket else None
        self.config = config or {}

    def start(self):
        """Write the configuration, start, wait until it answers PING."""
        path = self.directory / f"redis-{self.port}.conf"
        path.write_text("".join(f"{line}\n" for line in self.config_lines()))
        self.spawn([self.binary, str(path)], self.env)
        self.wait_ready(self.answers)
        return self

    def config_lines(self):
        """redis.conf, line by line."""
        yield from ("bind 127.0.0.1", f"port {self.port}", f"dir {self.directory}", 'save ""', "appendonly no")
        if self.socket_path:
            yield f"unixsocket {self.socket_path}"
        for key, value in self.config.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                yield f"{key} {item}"

    def answers(self):
        """True once a raw PING is answered, were it by -NOAUTH."""
        try:
            with self.connect(timeout=1.0) as connection:
                connection.command("PING")
                return connection.read_reply().startswith((b"+PONG", b"-NOAUTH"))
        except (OSError, WireError):
            return False

    def restart(self):
        """Stop and start again, empty, on the same port."""
        self.stop()
        return self.start()

    def connect(self, timeout=10.0):
        """A raw connection straight to this Redis."""
        return RespConnection(("127.0.0.1", self.port), timeout)

    def call(self, *args):
        """One command on a connection of its own, as a Python value."""
        with self.connect() as connection:
            return connection.call(*args)

    def url(self, db=0, user="", password=""):
        """redis:// URL of the TCP port."""
        login = f"{user}:{password}@" if user or password else ""
        return f"redis://{login}127.0.0.1:{self.port}/{db}"

    def unix_url(self, db=0):
        """unix:// URL of the socket."""
        return f"unix://{self.socket_path}?db={db}"


def respgate_binary():
    """The binary under test: RESPGATE_BIN, else the ordinary build."""
    return os.environ.get("RESPGATE_BIN") or str(ROOT / "build" / "respgate")


def respgate_env(extra=None):
    """A clean environment: PATH, sanitizer options and what the test says, nothing of the machine's."""
    env = {key: value for key, value in os.environ.items() if key == "PATH" or key.endswith("SAN_OPTIONS")}
    return {**env, **(extra or {})}


def minimal_env(**more):
    """The two variables that are all it takes; nobody listens where the backend should be."""
    return {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}", "RESPGATE_BACKEND_URL": "redis://127.0.0.1:1/0",
            "RESPGATE_STATS_ADDRESS": "", **more}


def run_respgate(*arguments, env=None, timeout=10):
    """Run respgate to its end in a clean environment."""
    done = subprocess.run([respgate_binary(), *arguments], env=respgate_env(env), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, check=False)
    assert not [mark for mark in SANITIZER_MARKS if mark in done.stderr], done.stderr
    return done


def fields(line):
    """key=value pairs of a logfmt line (values in quotes lose them) or of a JSON line, all as text."""
    pairs = re.findall(r'"?([A-Za-z_]+)"?[=:]\s*("(?:[^"\\]|\\.)*"|[^\s,}]+)', line)
    return {key: value.strip('"') for key, value in pairs}


def ledger_of(log):
    """The last ledger line of a log as a dict of numbers; fails when there is none or a count is missing."""
    lines = [line for line in log.splitlines() if "ledger" in line and "accepted" in line]
    assert lines, f"no ledger line in the log:\n{log[-4000:]}"
    found = fields(lines[-1])
    missing = [key for key in ("accepted", *LEDGER_OUTCOMES) if not found.get(key, "").isdigit()]
    assert not missing, f"the ledger line lacks {missing}: {lines[-1]}"
    return {key: int(found[key]) for key in ("accepted", *LEDGER_OUTCOMES)}


def check_ledger(ledger):
    """Every accepted request must have ended in exactly one outcome."""
    ended = sum(ledger[key] for key in LEDGER_OUTCOMES)
    assert ledger["accepted"] == ended, f"ledger: accepted {ledger['accepted']} but {ended} ended: {ledger}"


def check_open_ledgers():
    """Each respgate that ended in an orderly way, whoever ended it, must have balanced its ledger; asked once of each."""
    ended = [entry for entry in Respgate.open_ledgers if entry[0].poll() is not None]
    Respgate.open_ledgers[:] = [entry for entry in Respgate.open_ledgers if entry not in ended]
    for child, log_path in ended:
        if child.poll() in ORDERLY_EXITS:
            check_ledger(ledger_of(log_path.read_text(errors="replace")))


class Respgate(Process):
    """respgate, configured by its environment and --set only.

    `settings` are --set options ({"listen.max_clients": 10}), `env` adds RESPGATE_* variables. `expect_exit` is the
    exit code `finish` demands after SIGTERM; None for a test that kills it, which loses the ledger as well.
    HARNESS_SETTINGS ("listen.workers=2") adds settings to all tests of a run, beneath their own.
    """

    name = "respgate"
    open_ledgers = []  # (child, path of its log) of all that were started, until somebody has looked

    def __init__(self, directory, backend_url, settings=None, env=None, expect_exit=0, port=None):
        super().__init__(directory)
        self.port = port or free_port()
        self.stats_port = free_port()
        self.backend_url = backend_url
        common = dict(item.split("=", 1) for item in os.environ.get("HARNESS_SETTINGS", "").split())
        self.settings = {**common, **(settings or {})}
        self.extra_env = env or {}
        self.expect_exit = expect_exit
        self.connections = []

    def start(self):
        """Start and wait for the log line that says this port is being listened on."""
        argv = [respgate_binary(), "run"]
        for key, value in self.settings.items():
            argv += ["--set", f"{key}={value}"]
        address = f"127.0.0.1:{self.port}"
        env = {"RESPGATE_LISTEN_ADDRESS": address, **self.extra_env}
        if self.stats_port:
            env.setdefault("RESPGATE_STATS_ADDRESS", f"127.0.0.1:{self.stats_port}")
        if self.backend_url:
            env["RESPGATE_BACKEND_URL"] = self.backend_url
        self.spawn(argv, respgate_env(env))
        Respgate.open_ledgers.append((self.child, self.log_path))
        self.wait_ready(lambda: any("listening" in line and address in line for line in self.log().splitlines()))
        return self

    def connect(self, timeout=10.0):
        """A raw client connection; closed before respgate is asked to stop."""
        connection = RespConnection(("127.0.0.1", self.port), timeout)
        self.connections.append(connection)
        return connection

    def url(self, db=0, user="", password=""):
        """REDIS_URL for a client."""
        login = f"{user}:{password}@" if user or password else ""
        return f"redis://{login}127.0.0.1:{self.port}/{db}"

    def stats_at_exit(self):
        """The ledger it logged when it ended."""
        return ledger_of(self.log())

    def finish(self):
        """End it as its test left it and demand a clean exit, no sanitizer report and a balanced ledger."""
        for connection in self.connections:
            connection.close()
        code = self.kill() if self.expect_exit is None else self.stop()
        log = self.log()
        reports = [mark for mark in SANITIZER_MARKS if mark in log]
        assert not reports, f"{reports} in the log of respgate:\n{log[-8000:]}"
        if self.expect_exit is None:
            return
        assert code == self.expect_exit, f"respgate ended with {code}, not {self.expect_exit}:\n{log[-4000:]}"
        Respgate.open_ledgers[:] = [entry for entry in Respgate.open_ledgers if entry[0] is not self.child]
        if code in ORDERLY_EXITS:
            check_ledger(self.stats_at_exit())
