"""Failovers measured from the clients' side: a primary is killed, paused or cut off while eight clients write.

One round: load, fault, load, repair. `first_ok_ms` is the first good answer to a request sent after the fault,
`all_ok_ms` the first one of the client that had to wait longest for it, `last_error_ms` the last bad answer, all
counted from the fault; `errors` counts bad answers and requests that were never answered (each client has
one outstanding, so eight at the most are explained by the fault itself). Used by tests and by tests/bench/failover.
"""

import itertools
import os
import random
import socket
import subprocess
import time
from collections import namedtuple

from harness import Process, RedisServer, Respgate, free_port, wait_until
from ledger import Load, now_us

CLIENTS = 8
INTERVAL_MS = 500
Round = namedtuple("Round", "first_ok_ms all_ok_ms last_error_ms errors")
P500 = {"health.interval": "500ms", "health.fast_interval": "100ms", "health.timeout": "100ms", "health.fall": 3,
        "health.rise": 2, "health.hang_threshold": "200ms", "fallback.failback_hold": "100ms",
        "fallback.failback_hold_max": "100ms", "fallback.queue_timeout": "5s",
        "fallback.on_dataset_change": "continue"}
numbers = itertools.count()


class Cut:
    """Drops every packet from and to a TCP port on loopback, both ways; needs root and nft, and fails without."""

    table = f"respgate_test_{os.getpid()}"

    def __init__(self, port):
        self.port = port

    def nft(self, script):
        """Run one script."""
        subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)

    def __enter__(self):
        rule = "meta iif lo tcp {} {} drop"
        self.nft(f"table inet {self.table} {{\n chain input {{\n  type filter hook input priority 0\n"
                 f"  {rule.format('dport', self.port)}\n  {rule.format('sport', self.port)}\n }}\n}}\n")
        return self

    def __exit__(self, *_):
        self.nft(f"delete table inet {self.table}")


class Haproxy(Process):
    """HAProxy with its best settings for the same profile: fast checks while in doubt, errors of the traffic count."""

    name = "haproxy"

    def __init__(self, directory, first, second):
        super().__init__(directory)
        self.port = free_port()
        path = self.directory / "haproxy.cfg"
        path.write_text(f"""
global
    nbthread 1
    stats socket {self.directory}/haproxy.sock
defaults
    mode tcp
    timeout connect 500ms
    timeout client 1h
    timeout server 1h
    timeout check 100ms
    retries 3
    option redispatch
listen redis
    bind 127.0.0.1:{self.port}
    option tcp-check
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    default-server inter 500ms fastinter 100ms downinter 100ms fall 3 rise 2 observe layer4 error-limit 1 \
on-error mark-down on-marked-down shutdown-sessions
    server first 127.0.0.1:{first.port} check
    server second 127.0.0.1:{second.port} check backup
""")
        self.argv = ["haproxy", "-db", "-f", str(path)]

    def start(self):
        """Start, and wait until it listens."""
        self.spawn(self.argv)
        self.wait_ready(lambda: answers_from(self.port) is not None)
        return self

    def has_left_first(self):
        """Whether it knows that the first server is down; asks none of the servers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{self.directory}/haproxy.sock")
            connection.sendall(b"show stat -1 4 -1\n")
            lines = connection.makefile().read().splitlines()
        return any(line.startswith("redis,first,") and ",DOWN," in line for line in lines)


def answers_from(port):
    """Which server answers through the proxy: the value of its key `who`; None when nobody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"GET who\r\n")
            reply = connection.recv(64)
            return reply.split(b"\r\n")[1] if reply.startswith(b"$") else None
    except (OSError, IndexError):
        return None


class Scene:
    """Two servers and one proxy in front of them, `first` preferred."""

    def __init__(self, directory, proxy, settings=None):
        self.directory = directory
        self.first, self.second = RedisServer(directory).start(), RedisServer(directory).start()
        self.name_servers()
        if proxy == "respgate":
            env = {"RESPGATE_BACKEND_DEFAULT_PRIORITY": "10", "RESPGATE_BACKEND_SECOND_URL": self.second.url(),
                   "RESPGATE_BACKEND_SECOND_PRIORITY": "20"}
            self.proxy = Respgate(directory, self.first.url(), settings={**P500, **(settings or {})}, env=env).start()
            witness = self.proxy.connect()
            self.has_left_first = lambda: b"backend:second" in witness.call("RESPGATE", "STATUS")
        else:
            self.proxy = Haproxy(directory, self.first, self.second).start()
            self.has_left_first = self.proxy.has_left_first
        self.wait_for(b"first")

    def name_servers(self):
        """Each server knows its own name, also after a restart."""
        self.first.call("SET", "who", "first")
        self.second.call("SET", "who", "second")

    def wait_for(self, name):
        """Until the proxy leads there."""
        wait_until(lambda: answers_from(self.proxy.port) == name, 20, what=f"the proxy to lead to {name}")

    def end(self):
        """Stop all of it, politely for the proxy."""
        self.proxy.stop()
        for server in (self.first, self.second):
            server.resume()
            server.kill()

    def commit(self, fault):
        """Do it to the first server, `kill`, `stop` or `drop`; gives what undoes it."""
        if fault == "kill":
            self.first.kill()
            return self.first.start
        if fault == "stop":
            self.first.pause()
            return self.first.resume
        cut = Cut(self.first.port)
        cut.__enter__()
        return lambda: cut.__exit__()

    def repair(self, undo):
        """As it was before the fault."""
        undo()
        self.name_servers()
        self.wait_for(b"first")

    def round(self, fault, idle=False, window_s=1.5):
        """One fault; with `idle` the load begins right after it."""
        prefix = f"round{next(numbers)}"
        load = None if idle else Load(self.proxy.port, self.directory, CLIENTS, prefix=prefix)
        if load:
            wait_until(lambda: load.path.stat().st_size > 20000, what="the load to run")
        begun = now_us()
        undo = self.commit(fault)
        faulty = now_us()
        load = load or Load(self.proxy.port, self.directory, CLIENTS, prefix=prefix)
        time.sleep(window_s)  # the window that is measured, not a wait
        load.stop()
        self.repair(undo)
        return self.result(load, begun, faulty)

    def quiet_round(self, fault):
        """One fault while nobody asks anything: milliseconds until the proxy has left the first server by its checks
        alone. Its phase within the interval between two checks is a random one."""
        time.sleep(random.random() * INTERVAL_MS / 1000)
        begun = now_us()
        undo = self.commit(fault)
        wait_until(self.has_left_first, 20, what="the proxy to leave the first server")
        taken_ms = (now_us() - begun) / 1000
        self.repair(undo)
        return taken_ms

    @staticmethod
    def result(load, begun, faulty):
        """The figures of one round."""
        good = [float("inf")] * CLIENTS
        for request in load.requests:
            if request.outcome == "ok" and request.sent_us >= faulty:
                good[request.connection] = min(good[request.connection], (request.done_us - begun) / 1000)
        bad = [(request.done_us - begun) / 1000 for request in load.requests if request.outcome != "ok"]
        return Round(min(good), max(good), max(bad, default=0.0), len(bad))
