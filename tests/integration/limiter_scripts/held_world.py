"""Clients that check, think, act and hold, on a clock of their own, whose commands go through the scripts or straight
to the key. They ignore what the act replied, as the application did that this is for: their mind is made up at the
check. Many worlds run side by side, each on a key of its own, so that one round trip moves them all.
"""

import heapq
import random

from limiter_scripts.lab import START_US
from limiter_scripts.repair import Repair


class World:
    """`count` clients that admit themselves while the count they are told is below `limit`.

    gap, hold, retry: functions of a random.Random, seconds. owners: own (each client its own connection), one (all
    share one), or a number: that many connections, any of which a command may use. straight: no scripts.
    """

    def __init__(self, lab, name, count=12, limit=5, rule=None, *, gap, hold, retry, owners="own", straight=False,
                 act="repair_act", crash=0.0, monitor_hz=0, refused=0, check_limit=None, seed=1):
        self.rng, self.name, self.limit, self.owners, self.straight = random.Random(seed), name, limit, owners, straight
        self.gap, self.hold, self.retry, self.crash = gap, hold, retry, crash
        self.rule, self.act_script = rule or Repair(lab, limit), act
        self.refused, self.check_limit = refused, check_limit
        self.rule.keys = [f"k{name}", f"k{name}:p"]
        self.now, self.holders, self.most, self.held_time, self.refusals, self.over = 0.0, 0, 0, 0.0, 0, 0
        self.events = [(self.rng.random(), client, "check") for client in range(count)]
        if monitor_hz:
            self.events.append((0.0, "monitor", 1 / monitor_hz))
        heapq.heapify(self.events)
        self.steps = self.uses = 0

    def owner(self, client):
        if self.owners == "own" or client == "monitor":
            return f"o{client}"
        return "one" if self.owners == "one" else f"o{self.rng.randrange(self.owners)}"

    def after(self, seconds, client, what):
        heapq.heappush(self.events, (self.now + seconds, client, what))

    def requests(self, lab):
        """What the next client does, and a look at n and p: three requests."""
        at, self.client, self.what = heapq.heappop(self.events)
        self.held_time += self.holders * (at - self.now)
        self.now = at
        lab.now_us = START_US + int(at * 1e6)
        key, held = self.rule.keys
        token = f"t{self.client}"
        if self.what == "act" and self.rng.random() < self.crash:
            self.what = "crash"
        if self.what in ("release", "crash"):
            request = ("ZREM", key, token)
        elif self.what == "act":
            request = self.act_request(lab, token)
        else:
            request = self.check_request(lab)
        return [request, ("ZCARD", key), ("ZCOUNT", held, f"({lab.now_us}", "+inf")]

    def check_request(self, lab):
        if self.straight:
            return ("ZCARD", self.rule.keys[0])
        owner = self.owner(self.client)
        return lab.request(*self.rule.check_request(owner, refused=self.refused, limit=self.check_limit))

    def act_request(self, lab, token):
        if self.straight:
            return ("ZADD", self.rule.keys[0], "1", token)
        _, keys, args = self.rule.act_request(self.owner(self.client), "ZADD", "1", token)
        return lab.request(self.act_script, keys, args)

    def took(self, replies):
        """The replies to them."""
        reply, n, p = replies
        assert isinstance(reply, int), reply
        self.steps += 1
        self.over += n + p > self.rule.limit
        if self.client == "monitor":
            self.after(self.what, "monitor", self.what)
        elif self.what == "act":
            self.refusals += reply == 0
            self.holders += 1
            self.uses += 1
            self.most = max(self.most, self.holders)
            self.after(self.hold(self.rng), self.client, "release")
        elif self.what in ("release", "crash"):
            self.holders -= self.what == "release"
            self.after(self.retry(self.rng), self.client, "check")
        elif reply < self.limit:
            self.after(self.gap(self.rng), self.client, "act")
        else:
            self.after(self.retry(self.rng), self.client, "check")

    @property
    def use(self):
        """Mean share of the client's limit that is held."""
        return self.held_time / self.now / self.limit


def run(lab, worlds, done):
    """Each world until done(world)."""
    while running := [world for world in worlds if not done(world)]:
        replies = lab.pipeline([request for world in running for request in world.requests(lab)], batch=600)
        for i, world in enumerate(running):
            world.took(replies[3 * i : 3 * i + 3])


def upto(least, most):
    """Evenly between two durations, in seconds."""
    return lambda rng: rng.uniform(least, most)


def about(mean):
    """Exponential, as most waits in the world are."""
    return lambda rng: rng.expovariate(1 / mean)
