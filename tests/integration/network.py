"""A network of its own for a redis-server, in which packets can be lost: a namespace at the end of a veth pair.

What happens there touches nothing else on the machine, and all of it is gone with the namespace. Needs root, iproute2
and nft, and fails without.
"""

import itertools
import os
import random
import subprocess

from harness import RedisServer
from wire import RespConnection

numbers = itertools.count()


def run(*argv, script=None):
    """Run it; fail with what it said."""
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()} (this test needs root)"
    return done.stdout


class Network:
    """`here` is our address on it, `there` the one of servers inside. Ends with the block, whatever happened."""

    def __init__(self):
        self.name = f"rg{os.getpid()}n{next(numbers)}"
        base = f"198.18.{random.randrange(256)}."  # 198.18.0.0/15 is for tests of networks (RFC 2544)
        self.here, self.there = base + "1", base + "2"

    def __enter__(self):
        assert self.here not in run("ip", "-4", "-oneline", "address", "show"), f"{self.here} is taken"
        run("ip", "netns", "add", self.name)
        try:
            self.connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def connect(self):
        """Both ends, up."""
        outer, inner = f"{self.name}h", f"{self.name}i"
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
        run("ip", "address", "add", f"{self.here}/30", "dev", outer)
        run("ip", "link", "set", outer, "up")
        for arguments in (("address", "add", f"{self.there}/30", "dev", inner), ("link", "set", inner, "up"),
                          ("link", "set", "lo", "up")):
            run("ip", "-n", self.name, *arguments)

    def __exit__(self, *_):
        run("ip", "netns", "delete", self.name)

    def inside(self, *argv):
        """The command that runs argv in there; it stays one process."""
        return ["ip", "netns", "exec", self.name, *argv]

    def rule(self, *rules, hook="input"):
        """Replace what was in force by these nft rules on what comes in (`output`: what goes out); none: all passes."""
        lines = "".join(f"  {rule}\n" for rule in rules)
        run(*self.inside("nft", "-f", "-"), script="table inet faults\ndelete table inet faults\n"
            f"table inet faults {{\n chain faults {{\n  type filter hook {hook} priority 0\n{lines} }}\n}}\n")


class DistantServer(RedisServer):
    """A redis-server inside a Network."""

    def __init__(self, directory, network, config=None):
        super().__init__(directory, config=config)
        self.network = network

    def config_lines(self):
        """It listens on the address of its network."""
        for line in super().config_lines():
            yield f"bind {self.network.there}\nprotected-mode no" if line.startswith("bind ") else line

    def spawn(self, argv, env=None):
        """In there."""
        super().spawn(self.network.inside(*argv), env)

    def connect(self, timeout=10.0):
        """A raw connection to it, over its network."""
        return RespConnection((self.network.there, self.port), timeout)

    def url(self, db=0, user="", password=""):
        """redis:// URL."""
        return super().url(db, user, password).replace("127.0.0.1", self.network.there)
