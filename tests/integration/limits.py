"""Rules of limits for tests, and the shapes of what limiter commands answer."""

import re

from backend_view import command_calls

LIMIT_OF_FIVE = [("LIM.GCRA", "k", 5, 5, 3600000), ("LIM.WINDOW", "k", 5, 3600000), ("LIM.SLIDE", "k", 5, 3600000),
                 ("LIM.SLIDE", "k", 5, 3600000, "LOG")]
LIMIT_IDS = ["gcra", "window", "slide", "slide-log"]
RULES = {"api": {"kind": "gcra", "rate": "5/1h"}, "win": {"kind": "window", "rate": "5/1h"},
         "sld": {"kind": "slide", "rate": "5/1h"}, "log": {"kind": "slide-log", "rate": "5/1h"},
         "jobs": {"kind": "semaphore", "max": "1", "lease": "30s"}}
COUNTING = ["api", "win", "sld", "log"]
ALLOWED, LIMIT, REMAINING, RETRY, RESET, NEXT, CHARGED, REASON = range(8)
GRANTED, LIVE, MAX, LEFT, FENCE, SLOT, ALREADY, SEM_RETRY, POSITION, SEM_REASON = range(10)
OK, LIMITED, COST, CLOSED, OPEN, SHADOW, QUEUED, LOCAL = 0, 1, 3, 4, 5, 6, 8, 9


def rule_settings(rules=None, **more):
    """Rules as --set options; `more` goes into each of them."""
    return {f"limit.{name}.{key}": value for name, rule in (rules or RULES).items()
            for key, value in {**rule, **more}.items()}


def rule_env(rules):
    """Rules as environment variables."""
    return {f"RESPGATE_LIMIT_{name}_{key}".upper(): value for name, rule in rules.items() for key, value in rule.items()}


def script_calls(server):
    """How many scripts this Redis was asked to run."""
    calls = command_calls(server)
    return calls.get("eval", 0) + calls.get("evalsha", 0)


def take(client, name, *options, subject="u"):
    """One LIM.TRY; a rule that is a semaphore gets a token."""
    token = ("TOKEN", "t") if name == "jobs" and "TOKEN" not in options else ()
    return client.call("LIM.TRY", name, subject, *token, *options)


def timeless(value):
    """A reply without what depends on when it was made: times and fences."""
    if isinstance(value, list) and len(value) == 8 and all(isinstance(item, int) for item in value):
        return [*value[:3], *(min(item, 0) for item in value[3:6]), *value[6:]]
    if isinstance(value, list) and len(value) == 10 and all(isinstance(item, int) for item in value):
        return [*value[:3], 0, 0, *value[5:7], min(value[7], 0), *value[8:]]
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value


def denials_logged(gate):
    """The log lines that say calls are answered without a backend."""
    return re.findall(r".*limiter answers without a backend.*", gate.log())
