#!/usr/bin/env python3
"""The incident's other limiter, in processes that are killed in the middle of it: INCR, and EXPIRE at the first.
Nothing here knows of respgate.

    incident_counter.py PORT COUNT: counters rl:0 ... rl:COUNT-1, each of a process that dies between the two
"""

import os
import signal
import sys

import redis


def hit(port, key, told):
    """Counts; its end comes before the counter's is set."""
    client = redis.Redis(port=port)
    if client.incr(key) == 1:
        os.write(told, b"!")
        while True:
            signal.pause()
        client.expire(key, 60)


def die_between(port, key):
    """A process that is killed once it has counted."""
    reader, told = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            hit(port, key, told)
        finally:
            os._exit(1)
    os.close(told)
    assert os.read(reader, 1) == b"!", "it ended by itself"
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        die_between(int(sys.argv[1]), f"rl:{number}")
