"""How the proxy calls the scripts that repair clients which check first and act later."""

KEYS = ["k", "k:p"]
COUNTS = {"ZADD": "ZCARD", "ZINCRBY": "ZCARD", "SADD": "SCARD", "RPUSH": "LLEN", "LPUSH": "LLEN", "RPUSHX": "LLEN",
          "LPUSHX": "LLEN", "INCR": "GET", "INCRBY": "GET"}
KNOWS = {"ZADD": "ZSCORE", "ZINCRBY": "ZSCORE", "SADD": "SISMEMBER"}
ACT_FIRST = 13  # the position in ARGV of the command that acts


class Repair:
    """A rule on a Lab. `check` and `act` are what the proxy makes of a client's commands."""

    def __init__(self, lab, limit=2, hold_ms=1000, late="reject", ttl_ms=0):
        self.lab, self.limit, self.hold_ms, self.late, self.ttl_ms = lab, limit, hold_ms, late, ttl_ms
        self.resp, self.number, self.keys, self.tell = 2, 0, KEYS, "plain"

    def check_request(self, owner, *command, hold_ms=None, limit=None, refused=0):
        self.number += 1
        hold_us = int((self.hold_ms if hold_ms is None else hold_ms) * 1000)
        limit = self.limit if limit is None else limit
        return ("repair_check", self.keys, (limit, hold_us, f"{owner}:{self.number}", refused, *(command or ("ZCARD",))))

    def check(self, owner, *command, **kwargs):
        name, keys, args = self.check_request(owner, *command, **kwargs)
        return self.lab.run(name, keys, *args)

    def rejection(self, name, command):
        if self.late != "reject":
            return self.late
        if name == "ZADD" and "INCR" in command:
            return "null"
        return {"ZINCRBY": "text", "INCR": "above", "INCRBY": "above"}.get(name, "zero")

    def places(self, name, command):
        """What the script is told of members: how to ask for one, where the first is, how far apart they are."""
        if name == "ZADD":
            flags = sum(word in ("NX", "GT", "LT", "CH", "INCR") for word in command[:5])
            return "ZSCORE", ACT_FIRST + 1 + flags + 1, 2
        if name in KNOWS:
            return KNOWS[name], ACT_FIRST + len(command) if name == "ZINCRBY" else ACT_FIRST + 1, 1
        by = int(command[0]) if name == "INCRBY" else 1 if name == "INCR" else len(command)
        return "", by, 0

    def act_request(self, owner, name, *command):
        rule = self.limit, owner, self.rejection(name, command), "runs", self.ttl_ms, self.resp
        return "repair_act", self.keys, (*rule, COUNTS[name], *self.places(name, command), self.tell, name, *command)

    def act(self, owner, name, *command):
        name, keys, args = self.act_request(owner, name, *command)
        return self.lab.run(name, keys, *args)

    def held(self):
        """The names of the reservations that count, oldest first."""
        return [name.decode() for name in self.lab.call("ZRANGEBYSCORE", "k:p", f"({self.lab.now_us}", "+inf")]
