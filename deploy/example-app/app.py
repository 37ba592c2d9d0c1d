"""An application that knows nothing of respgate: redis-py, REDIS_URL, and a counter. Prints what it counts and what fails."""

import os
import signal
import sys
import time

import redis


def main():
    """Counts five times a second, for as long as it is let."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default for it
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    while True:
        try:
            print("counted", client.incr("example:counter"), flush=True)
        except redis.RedisError as error:
            print("failed", type(error).__name__, error, flush=True)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
