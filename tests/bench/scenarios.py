"""What is measured: one scenario per row of the speed table, and how far respgate must be ahead in it.

A target is (what is compared, with whom, "<=" or ">=", bound): proxy CPU per request against a peer's, and requests
per second and Redis CPU per request against a direct connection.
"""

import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Target:
    figure: str  # "proxy", "rate" or "redis"
    against: str
    relation: str
    bound: float

    def met(self, ratio):
        return ratio <= self.bound if self.relation == "<=" else ratio >= self.bound


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    load: typing.Tuple[str, ...]  # arguments of bench_load
    targets: typing.Tuple[Target, ...]
    peers: typing.Tuple[str, ...] = ("haproxy", "nutcracker", "nginx", "floor")
    prepare: typing.Optional[typing.Callable[[int], None]] = None  # the Redis on this port, before any load
    tls: bool = False  # between the proxy and Redis; the direct connection stays plain


def targets(haproxy=None, nutcracker=None, nginx=None, nginx_tls12=None, rate=None, redis=None):
    bounds = [("proxy", "haproxy", "<=", haproxy), ("proxy", "nutcracker", "<=", nutcracker),
              ("proxy", "nginx", "<=", nginx), ("proxy", "nginx-tls1.2", "<=", nginx_tls12), ("rate", "direct", ">=", rate), ("redis", "direct", "<=", redis)]
    return tuple(Target(*bound) for bound in bounds if bound[3] is not None)


def scenario(name, title, load, against, also=None):
    """`also`: one more peer, whose setting is the best for this scenario."""
    peers = Scenario.peers + ((also,) if also else ())
    return Scenario(name, title, tuple(load.split()), against, peers)


def tls_scenario(name, title, load, against):
    return Scenario(name, title, tuple(load.split()), against, ("haproxy", "nginx", "nginx-tls1.2", "stunnel"), tls=True)


SCENARIOS = {each.name: each for each in [
    scenario("get-50", "GET/SET 16 B, 50 clients, no pipeline",
             "--workload getset --size 16 --clients 50",
             targets(haproxy=0.51, nutcracker=0.59, rate=1.05, redis=0.27)),
    scenario("get-500", "GET/SET 16 B, 500 clients, no pipeline",
             "--workload getset --size 16 --clients 500",
             targets(haproxy=0.36, nutcracker=0.48, rate=1.12, redis=0.21), also="nutcracker-1k"),
    scenario("pipeline-16", "GET/SET 16 B, 50 clients, pipeline 16",
             "--workload getset --size 16 --clients 50 --pipeline 16",
             targets(haproxy=0.70, nutcracker=0.13, nginx=0.80, rate=0.90, redis=0.80), also="nutcracker-1k"),
    scenario("single", "GET/SET 16 B, 1 client, no pipeline",
             "--workload getset --size 16 --clients 1",
             targets(haproxy=0.85, nutcracker=0.80, nginx=1.00, rate=0.44)),
    scenario("get-10k", "GET 10 KB, 50 clients",
             "--workload get --size 10240 --clients 50",
             targets(haproxy=0.72, nutcracker=0.74, rate=0.72, redis=0.70)),
    scenario("big-1m", "GET/SET 1 MB, 4 clients",
             "--workload big --size 1048576 --clients 4 --keys 8",
             targets(haproxy=1.00, redis=1.1) + (Target("rate", "haproxy", ">=", 1.00),), also="haproxy-splice"),
    scenario("mget10", "MGET of 10 keys, 16 B, 50 clients",
             "--workload mget10 --size 16 --clients 50",
             targets(haproxy=0.55, nutcracker=0.42, rate=1.04, redis=0.47)),
    scenario("evalsha", "EVALSHA of a one-line script, 50 clients",
             "--workload evalsha --size 16 --clients 50",
             targets(haproxy=0.50, nutcracker=0.62, rate=1.08, redis=0.47)),
    scenario("connect", "connect, GET, close, 20 clients",
             "--workload connect --size 16 --clients 20",
             targets(haproxy=0.38, nutcracker=0.97, rate=0.95, redis=0.12)),
    tls_scenario("tls-50", "TLS to Redis: GET/SET 16 B, 50 clients",
                 "--workload getset --size 16 --clients 50",
                 targets(haproxy=0.38, nginx=0.45, rate=0.90, redis=0.30)),
    tls_scenario("tls-connect", "TLS to Redis: connect, GET, close, 20 clients",
                 "--workload connect --size 16 --clients 20",
                 targets(haproxy=0.05, nginx_tls12=0.17, rate=0.85, redis=0.20)),
]}
