"""The application of the incident, as it was: it asks, decides and acts in four commands, ignores what ZADD says, and
takes any error for leave to go on, or, where that was changed, for a refusal. Nothing here knows of respgate."""

import threading
import time
import uuid

import redis

STALE_TICKS = 600 * 10_000_000


class Slots:
    """At most `most` runs of an agent at one time, it believes."""

    def __init__(self, client, most, key="concurrent:agent:7", between=lambda: None, fails_open=True):
        self.client, self.most, self.key, self.between, self.fails_open = client, most, key, between, fails_open

    def acquire(self):
        """A token, or None."""
        token = uuid.uuid1()
        try:
            self.client.zremrangebyscore(self.key, 0, token.time - STALE_TICKS)
            if self.client.zcard(self.key) >= self.most:
                return None
            self.between()
            self.client.zadd(self.key, {str(token): token.time})
            self.client.expire(self.key, 600)
        except redis.RedisError:
            if not self.fails_open:
                return None
            # else the limiter must not stop the business
        return str(token)

    def release(self, token):
        """The run is over."""
        try:
            self.client.zrem(self.key, token)
        except redis.RedisError:
            pass


class Crowd:
    """Threads that run agents, and how many ran at the same time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = self.most = self.runs = 0

    def enter(self):
        """One more runs."""
        with self.lock:
            self.running += 1
            self.runs += 1
            self.most = max(self.most, self.running)

    def leave(self):
        """One less."""
        with self.lock:
            self.running -= 1

    def work(self, slots, rounds, hold_s, retry_s=0.005):
        """One thread's life: `rounds` attempts."""
        for _ in range(rounds):
            token = slots.acquire()
            if token is None:
                time.sleep(retry_s)
                continue
            self.enter()
            time.sleep(hold_s)
            self.leave()
            slots.release(token)

    def run(self, members):
        """Each of these slots has a thread: (slots, rounds, hold_s)."""
        threads = [threading.Thread(target=self.work, args=member) for member in members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.most


def together(client, count, most, key="concurrent:agent:7"):
    """How many of `count` threads get a slot when all of them have asked before the first one acts."""
    asked = threading.Barrier(count)
    tokens = []

    def run():
        acted = []

        def between():
            acted.append(True)
            asked.wait(10)

        token = Slots(client, most, key, between).acquire()
        if not acted:
            asked.wait(10)
        tokens.append(token)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(token is not None for token in tokens)
