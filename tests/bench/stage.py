"""One contestant, its Redis and the load generator, freshly started together on one core.

`Pair` starts the first two. `Stage` starts all three and leaves the load generator connected, warmed up and at rest.
`Stage.run()` lets it run one window and returns what that cost: each process's own CPU clock is read while nothing is
under way, just before the first request and just after the last reply, so the figures belong to exactly the window.
"""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

import certificate
import contestants

START_DEADLINE_S = 30
PROBE = b"*2\r\n$3\r\nGET\r\n$7\r\nabsent:\r\n"


class BenchError(Exception):
    """A measurement that cannot count."""


def family(pid):
    """A process and all its descendants."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(child) for child in file.read().split()]
    return [pid] + [each for child in children for each in family(child)]


def cpu_clock_ns(pids):
    """CPU time of whole processes, all threads, in nanoseconds: CPUCLOCK_SCHED of each (see clock_getcpuclockid(3))."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def core_busy_s(cpu):
    """How long a core was not idle since boot, in seconds; time stolen by the host counts as busy."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = next(line.split() for line in file if line.startswith(f"cpu{cpu} "))
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def environment():
    """Ours without anything that could configure respgate by chance."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RESPGATE_")}


def quiet_core():
    """The allowed core that was used least during half a second."""
    cores = sorted(os.sched_getaffinity(0))
    before = {core: core_busy_s(core) for core in cores}
    time.sleep(0.5)
    return min(cores, key=lambda core: core_busy_s(core) - before[core])


def leave_core(cpu):
    """Keeps this driver away from the measured core, where there is another one."""
    others = os.sched_getaffinity(0) - {cpu}
    if others:
        os.sched_setaffinity(0, others)


def load_binary():
    found = os.environ.get("BENCH_LOAD_BIN", os.path.join(contestants.ROOT, "build", "tests", "bench", "bench_load"))
    if not os.access(found, os.X_OK):
        sys.exit(f"bench: {found} is missing: build the project first, or name it in BENCH_LOAD_BIN")
    return found


@dataclasses.dataclass(frozen=True)
class Window:
    """What the load generator saw, and what the window cost each process in CPU seconds."""
    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    client_s: float
    proxy_s: float
    redis_s: float
    busy_s: float  # of the whole core


class Pair(contextlib.AbstractContextManager):
    """`contestant`: a name, or a function like those in contestants.py. `wrap` goes before its command (a profiler, say)."""

    def __init__(self, contestant, cpu, tls=False, prepare=None, wrap=()):
        self.cpu = cpu
        self.processes = []
        self.directory = tempfile.TemporaryDirectory(prefix="respgate-bench-")
        try:
            self._start(contestant, tls, prepare, list(wrap))
        except BaseException:
            self.close()
            raise

    def _start(self, contestant, tls, prepare, wrap):
        path = self.directory.name
        self.redis_port, self.port = contestants.free_port(), contestants.free_port()
        tls_port = contestants.free_port() if tls else 0
        if tls:
            certificate.make(path)
        self.redis = self._spawn("redis", contestants.redis(path, self.redis_port, tls_port))
        self._await_answer(self.redis, self.redis_port)
        if prepare:
            prepare(self.redis_port)
        commands = contestants.TLS_COMMANDS if tls else contestants.COMMANDS
        command = commands.get(contestant, contestant)(path, self.port, tls_port or self.redis_port)
        self.proxy = None
        if not command:
            self.port = self.redis_port
            return
        self.proxy = self._spawn("proxy", dataclasses.replace(command, argv=wrap + command.argv))
        self._await_answer(self.proxy, self.port)

    def _spawn(self, name, command, **streams):
        log = os.path.join(self.directory.name, name + ".err")
        streams.setdefault("stdin", subprocess.DEVNULL)
        with open(log, "wb") as errors:
            process = subprocess.Popen(["taskset", "-c", str(self.cpu), *command.argv], stderr=errors, text=True,
                                       env={**environment(), **command.environment},
                                       **{"stdout": errors, **streams})
        process.log = log
        self.processes.append(process)
        return process

    def _await_answer(self, process, port):
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                probe.sendall(PROBE)
                if probe.recv(16).startswith(b"$-1"):
                    return
            time.sleep(0.01)
        raise BenchError(f"no answer from {' '.join(process.args)}\n{self._log(process)}")

    @staticmethod
    def _log(process):
        with open(process.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def proxy_pids(self):
        return family(self.proxy.pid) if self.proxy else []

    def close(self):
        """Ends the three in the order in which they lean on each other; a profiler gets the time to write."""
        for process in reversed(self.processes):
            for pipe in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(OSError):
                    pipe.close()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        self.directory.cleanup()

    def __exit__(self, *exc):
        self.close()


class Stage(Pair):
    """`load` overrides the scenario's arguments."""

    def __init__(self, contestant, scenario, cpu, wrap=(), load=()):
        super().__init__(contestant, cpu, scenario.tls, scenario.prepare, wrap)
        try:
            argv = [load_binary(), "--target", f"127.0.0.1:{self.port}", "--preload", f"127.0.0.1:{self.redis_port}",
                    *scenario.load, *load]
            self.load = self._spawn("load", contestants.Command(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._heard()
        except BaseException:
            self.close()
            raise

    def _heard(self):
        line = self.load.stdout.readline()
        if not line:
            raise BenchError(f"the load generator ended\n{self._log(self.load)}")
        return line

    def run(self):
        """Runs the window. When it returns, everything is connected and at rest."""
        proxy_pids, redis_pids = self.proxy_pids(), [self.redis.pid]
        busy = core_busy_s(self.cpu)
        proxy, redis = cpu_clock_ns(proxy_pids), cpu_clock_ns(redis_pids)
        self.load.stdin.write("\n")
        self.load.stdin.flush()
        report = self._heard()
        proxy, redis = cpu_clock_ns(proxy_pids) - proxy, cpu_clock_ns(redis_pids) - redis
        busy = core_busy_s(self.cpu) - busy
        report = json.loads(report)
        if report["errors"] or not report["requests"]:
            raise BenchError(f"{report['errors']} errors\n{self._log(self.load)}")
        return Window(requests=report["requests"], seconds=report["seconds"], p50_us=report["p50_us"],
                      p99_us=report["p99_us"], client_s=report["cpu_s"], proxy_s=proxy / 1e9, redis_s=redis / 1e9,
                      busy_s=busy)
