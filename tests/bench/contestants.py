"""The contestants: how each one is configured at its best for one Redis behind it, and started.

A contestant gets the port it must listen on, the port of its Redis and a directory of its own, and returns the
command that runs it in the foreground. All logging is off, time limits are long, and TCP_NODELAY is on everywhere
(HAProxy and nutcracker set it by themselves). Sizes were chosen by measuring: 32 KB buffers cost HAProxy and nginx a
third less than the default for values of 1 MB, and nothing elsewhere. Where no setting is best for all scenarios, a
second contestant stands for the other choice: `haproxy-splice` (big values cost half, small ones a third more) and
`nutcracker-1k` (pipelined small requests cost a third less, values of 10 KB a third more). Those that speak TLS with
their Redis all verify its certificate and its name (certificate.py); nginx resumes sessions best with TLS 1.2.
"""

import dataclasses
import os
import socket
import typing

import certificate

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


@dataclasses.dataclass(frozen=True)
class Command:
    argv: typing.List[str]
    environment: typing.Dict[str, str] = dataclasses.field(default_factory=dict)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def respgate_binary():
    return os.environ.get("RESPGATE_BIN", os.path.join(ROOT, "build", "respgate"))


def respgate(directory, port, redis_port):
    return Command([respgate_binary(), "run"], {
        "RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "RESPGATE_BACKEND_URL": f"redis://127.0.0.1:{redis_port}/0",
    })


def respgate_tls(directory, port, redis_port):
    command = respgate(directory, port, redis_port)
    command.environment.update(RESPGATE_BACKEND_URL=f"rediss://127.0.0.1:{redis_port}/0",
                               RESPGATE_TLS_CA_FILE=certificate.path(directory))
    return command


def respgate_with(text):
    """respgate with this configuration file."""
    def contestant(directory, port, redis_port):
        command = respgate(directory, port, redis_port)
        command.environment["RESPGATE_CONFIG"] = write(directory, "respgate.ini", text)
        return command
    return contestant


# Denials of the rule `bench` are kept.
respgate_with_rule = respgate_with("""
[limit bench]
kind = gcra
rate = 1/1h
prefix = k
deny_cache = yes
""")


# Rules of repair whose commands are those of the scenarios, and whose keys and scripts are not.
respgate_with_repair = respgate_with("""
[limit bench]
kind = counter
match = key:otp:*
mode = enforce
max = 5
ttl = 60s

[limit shown]
kind = zset
match = key:runs:*
mode = enforce
max = 5
scripts = show

[limit taken]
kind = script
match = key:slots:*
adopt = 0123456789abcdef0123456789abcdef01234567 SEM.CHECK KEYS[1] ARGV[1]
""")


def haproxy_with(directory, port, redis_port, tuning="", options="", server=""):
    config = write(directory, "haproxy.cfg", f"""
global
    nbthread 1
    maxconn 9900
    tune.bufsize 32768
    {tuning}
defaults
    mode tcp
    no option tcp-smart-accept
    no option tcp-smart-connect
    {options}
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen redis
    bind 127.0.0.1:{port} backlog 4096
    server redis 127.0.0.1:{redis_port} {server}
""")
    return Command(["/usr/sbin/haproxy", "-db", "-f", config])


def haproxy(directory, port, redis_port):
    return haproxy_with(directory, port, redis_port)


def haproxy_splice(directory, port, redis_port):
    return haproxy_with(directory, port, redis_port, tuning="tune.pipesize 1048576\n    maxpipes 50",
                        options="option splice-request\n    option splice-response")


def haproxy_tls(directory, port, redis_port):
    return haproxy_with(directory, port, redis_port, server="ssl verify required verifyhost localhost "
                        f"sni str(localhost) ca-file {certificate.path(directory)}")


def nutcracker_with(directory, port, redis_port, *arguments):
    config = write(directory, "nutcracker.yml", f"""
redis:
  listen: 127.0.0.1:{port}
  redis: true
  preconnect: true
  server_connections: 1
  auto_eject_hosts: false
  distribution: modula
  backlog: 4096
  servers:
   - 127.0.0.1:{redis_port}:1
""")
    # It insists on a statistics port; one round of them an hour.
    return Command(["/usr/sbin/nutcracker", "-c", config, "-o", os.path.join(directory, "log"), "-v", "1",
                    "-i", "3600000", "-a", "127.0.0.1", "-s", str(free_port()), *arguments])


def nutcracker(directory, port, redis_port):
    return nutcracker_with(directory, port, redis_port)


def nutcracker_1k(directory, port, redis_port):
    return nutcracker_with(directory, port, redis_port, "--mbuf-size=1024")


def nginx_with(directory, port, redis_port, server=""):
    config = write(directory, "nginx.conf", f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log {directory}/log crit;
pid {directory}/pid;
events {{
    use epoll;
    worker_connections 18000;
    multi_accept on;
}}
stream {{
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_pass 127.0.0.1:{redis_port};
        proxy_timeout 1h;
        proxy_buffer_size 32k;
        tcp_nodelay on;
        {server}
    }}
}}
""")
    return Command(["/usr/sbin/nginx", "-p", directory, "-e", f"{directory}/log", "-c", config])


def nginx(directory, port, redis_port):
    return nginx_with(directory, port, redis_port)


def nginx_tls(directory, port, redis_port, protocol="TLSv1.3"):
    return nginx_with(directory, port, redis_port, f"""
        proxy_ssl on;
        proxy_ssl_protocols {protocol};
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {certificate.path(directory)};
        proxy_ssl_name localhost;
        proxy_ssl_server_name on;
        proxy_ssl_session_reuse on;
""")


def nginx_tls12(directory, port, redis_port):
    return nginx_tls(directory, port, redis_port, "TLSv1.2")


def stunnel(directory, port, redis_port):
    config = write(directory, "stunnel.conf", f"""
foreground = quiet
pid =
debug = 0
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[redis]
client = yes
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{redis_port}
verifyChain = yes
checkHost = localhost
sni = localhost
CAfile = {certificate.path(directory)}
TIMEOUTidle = 3600
""")
    return Command(["/usr/bin/stunnel4", config])


def floor(directory, port, redis_port):
    """A multiplexer that does nothing but pass bytes (floor.c): what the sockets alone cost."""
    return Command([os.environ.get("BENCH_FLOOR_BIN", os.path.join(ROOT, "build", "tests", "bench", "bench_floor")),
                    str(port), str(redis_port)])


def direct(directory, port, redis_port):
    """No proxy: the clients speak with Redis itself."""
    return None


COMMANDS = {
    "direct": direct,
    "respgate": respgate,
    "respgate-rule": respgate_with_rule,
    "respgate-repair": respgate_with_repair,
    "haproxy": haproxy,
    "haproxy-splice": haproxy_splice,
    "nutcracker": nutcracker,
    "nutcracker-1k": nutcracker_1k,
    "nginx": nginx,
    "floor": floor,
}
TLS_COMMANDS = {
    "direct": direct,
    "respgate": respgate_tls,
    "haproxy": haproxy_tls,
    "nginx": nginx_tls,
    "nginx-tls1.2": nginx_tls12,
    "stunnel": stunnel,
}
PEERS = [name for name in {**COMMANDS, **TLS_COMMANDS} if name != "direct" and not name.startswith("respgate")]

PACKAGES = {
    "haproxy": ["haproxy"],
    "nutcracker": ["nutcracker"],
    "nginx": ["nginx", "libnginx-mod-stream"],
    "stunnel": ["stunnel4"],
}

VERSION_COMMANDS = {
    "redis-server": ["/usr/bin/redis-server", "--version"],
    "respgate": [respgate_binary(), "version"],
    "haproxy": ["/usr/sbin/haproxy", "-v"],
    "nutcracker": ["/usr/sbin/nutcracker", "-V"],
    "nginx": ["/usr/sbin/nginx", "-v"],
    "stunnel": ["/usr/bin/stunnel4", "-version"],
}


def program(name):
    """`haproxy-splice` is haproxy; a direct connection is Redis alone."""
    return "redis-server" if name == "direct" else name.split("-")[0]


def packages_for(names):
    return ["redis-server", "util-linux", "openssl"] + [package for each in names for package in PACKAGES.get(program(each), [])]


def redis(directory, port, tls_port=0):
    """A Redis that keeps nothing on disk, so that nothing but requests costs it time."""
    tls = ["--tls-port", str(tls_port), "--tls-cert-file", certificate.path(directory), "--tls-key-file",
           certificate.key_path(directory), "--tls-auth-clients", "no"] if tls_port else []
    return Command(["/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", directory,
                    "--save", "", "--appendonly", "no", "--maxclients", "10000", "--tcp-backlog", "4096",
                    "--logfile", os.path.join(directory, "redis.log"), *tls])
