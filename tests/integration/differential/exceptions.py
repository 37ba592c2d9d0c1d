"""The named list: where a reply through respgate may differ from Redis's own, how far, and why.

Each entry covers the commands it names (or the lines of a conversation that name it) and masks only the part that may
differ; what is left must be equal. An entry nobody needed fails the test.
"""

import re
from dataclasses import dataclass

from command_own import OWN, without_own

NUMBER = rb"-?\d+(?:\.\d+)?"
STABLE_INFO = re.compile(
    rb"^(redis_version|redis_git_sha1|redis_mode|os|arch_bits|multiplexing_api|gcc_version|process_id|tcp_port|"
    rb"hz|executable|config_file|io_threads_active|maxclients|maxmemory\w*|mem_allocator|loading|aof_enabled|"
    rb"role|connected_slaves|master_failover_state|cluster_enabled|db\d+|redis_build_id|run_id)$")
CLIENT_OWN = (b"id", b"addr", b"laddr", b"fd", b"age", b"idle", b"qbuf", b"qbuf-free", b"argv-mem", b"multi-mem",
              b"rbs", b"rbp", b"obl", b"oll", b"omem", b"tot-mem")


@dataclass
class Entry:
    """One permitted difference. `may_coincide`: the two sides are sometimes equal by chance, a match counts as use."""

    name: str
    reason: str
    commands: tuple
    mask: object
    may_coincide: bool = False


def sub(pattern, replacement):
    """A mask that replaces a pattern."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda raw: compiled.sub(replacement, raw)


def text_of(raw):
    """The type and body of a bulk or verbatim reply; its length is no part of what is compared."""
    match = re.fullmatch(rb"([$=])\d+\r\n(.*)\r\n", raw, re.DOTALL)
    return (match[1], match[2]) if match else (b"", raw)


def body(change):
    """A mask of the body of a text reply."""
    def mask(raw):
        kind, text = text_of(raw)
        return kind + b"0\r\n" + change(text) + b"\r\n" if kind else raw
    return mask


def info_lines(text):
    """INFO: section and field names in order; values of fields that neither load nor time can change."""
    out = []
    for line in text.split(b"\r\n"):
        name, colon, _ = line.partition(b":")
        if re.match(rb"(cmdstat|errorstat|latency_percentiles_usec)_", name):
            continue  # one line for each command or error seen so far: history, of both sides
        line = re.sub(rb"avg_ttl=\d+", b"avg_ttl=", line)
        out.append(line if not colon or STABLE_INFO.match(name) else name + colon)
    return b"\r\n".join(out)


def client_lines(text):
    """CLIENT INFO and LIST: all fields in order; the values of what the proxy, not the server, knows are masked."""
    pattern = rb"(?<![\w-])(" + b"|".join(CLIENT_OWN) + rb")=[^ \n]*"
    return re.sub(pattern, rb"\1=", text)


def field_names(text):
    """The set of field orders of a list of lines."""
    lines = {b" ".join(re.findall(rb"([\w-]+)=", line)) for line in text.splitlines()}
    return b"\n".join(sorted(lines))


def keep_bulk(key):
    """A mask of the integer behind one key of a map or flat array."""
    return rb"(\$\d+\r\n" + key + rb"\r\n):-?\d+", rb"\1:N"


def acl_log(raw):
    """ACL LOG without age and client-info, and with AUTH for either way to log in."""
    raw = re.sub(rb"(age-seconds\r\n)(,[\d.e-]+|\$\d+\r\n[\d.e-]+)\r\n", rb"\1AGE\r\n", raw)
    raw = re.sub(rb"(object\r\n)\$5\r\nHELLO\r\n", rb"\1$4\r\nAUTH\r\n", raw)
    return re.sub(rb"\$\d+\r\nid=[^\r]*\r\n", b"CLIENT\r\n", raw)


BEFORE_LOGIN = (b"-NOAUTH ", b"-ERR unknown command", b"-ERR wrong number of arguments", b"-EXECABORT Transaction "
                b"discarded because of: NOAUTH ")
LOGIN_IN_MULTI = (b"+QUEUED\r\n", b"-ERR respgate: 'auth' is refused by policy", b"*2\r\n+OK\r\n+PONG\r\n",
                  b"-EXECABORT Transaction discarded because of previous errors.\r\n")

LIST = [
    # --- values that no two calls share
    Entry("time", "the clock", ("time",), sub(rb"\$(10|[1-6])\r\n\d+\r\n", b"N")),
    Entry("lastsave", "the clock at the last SAVE", ("lastsave",), sub(rb":\d+", b":N"), True),
    Entry("ttl", "remaining time: seconds round up or down between two calls", ("ttl",), sub(rb":99\d\d?|:1000", b":N"),
          True),
    Entry("pttl", "remaining time in milliseconds", ("pttl",), sub(rb":(99\d{4}|1000000)", b":N"), True),
    Entry("idletime", "whole seconds since the key was made", ("object|idletime",), sub(rb"^:[01]\r", b":N\r"), True),
    Entry("xadd-auto-id", "the clock names the entry", ("xadd",), sub(rb"\d{13}-\d+", b"ID"), True),
    Entry("x-idle", "milliseconds since the consumer read", ("xinfo|consumers", "xpending"),
          sub(rb"((?:\$4\r\nidle\r\n)|(?:\$\d+\r\n[\d-]+\r\n\$\d+\r\n\w+\r\n)):\d{1,4}\r", rb"\1:N\r"), True),
    Entry("x-full", "clock readings: when a consumer was seen, when an entry was delivered", ("xinfo|stream",),
          sub(rb":\d{13}\r", b":N\r"), True),
    Entry("random-id", "random by its purpose", ("acl|genpass",), sub(rb"[0-9a-f]{4,}\r", b"X\r")),
    Entry("random-member", "random by its purpose: the elements differ, their number and length must not",
          ("srandmember", "spop", "zrandmember"), sub(rb"(\$1\r\n[abc123]|,[123])\r", b"MEMBER\r"), True),
    Entry("random-field", "random by its purpose, the value belongs to the field", ("hrandfield",),
          sub(rb"\$2\r\nf[123]\r\n(\$\d\r\n(v1|2|1\.5)\r\n)?", b"FIELD\r\n"), True),
    Entry("lolwut", "computer art, random by its purpose", ("lolwut",),
          body(sub(rb"^(?!Redis ver).*?(?=[^\n]*Redis ver)", b"ART"))),
    # --- numbers of the server that move while it works
    Entry("info", "counters, memory and clocks of the running server; names, order and fixed fields are compared",
          ("info",), body(info_lines)),
    Entry("memory-numbers", "memory in use at the moment", ("memory|stats", "memory|malloc-stats", "memory|doctor"),
          lambda raw: re.sub(rb"(:-?\d+|,[-\d.e]+|\$\d+\r\n-?[\d.e-]+)\r\n", b"N\r\n", raw)
          if not raw.startswith((b"=", b"$")) else b"text", True),
    Entry("latency-histogram", "counts of commands so far, durations in microseconds", ("latency|histogram",),
          lambda raw: raw[:1] if raw[:1] in b"*%" else raw),
    Entry("slowlog", "id, time and duration of an entry", ("slowlog|get",),
          sub(rb":\d+\r\n:\d{10}\r\n:\d+\r", b":ID:TIME:DURATION\r")),
    # --- differences by design: the server's client is respgate, respgate's client is the application
    Entry("client-id", "ids are respgate's own, because the server's belong to shared connections", ("client|id",),
          sub(rb":\d+", b":ID")),
    Entry("hello-id", "the same id in HELLO", ("hello",), sub(*keep_bulk(b"id"))),
    Entry("client-line", "address, file descriptor and buffers of the application's connection end at respgate",
          ("client|info", "client|list"), body(client_lines)),
    Entry("client-list-scope", "CLIENT LIST shows the clients of this respgate, not all of the server", (),
          body(field_names)),
    Entry("own-commands", "respgate's own commands stand behind those of the server; without them the reply is the same",
          ("command", "command|info", "command|list"), without_own),
    Entry("own-docs", "the same in COMMAND DOCS", ("command|docs",), lambda raw: without_own(raw, paired=True)),
    Entry("own-count", "the same in COMMAND COUNT, of the 240 commands of Redis 7.0", ("command|count",),
          lambda raw: b":240\r\n" if raw == b":%d\r\n" % (240 + len(OWN)) else raw),
    Entry("redirect-id", "the client that receives invalidations has an id of respgate's",
          ("client|getredir", "client|trackinginfo"), sub(rb":[1-9]\d*", b":ID")),
    Entry("bulk-end", "the two bytes behind a bulk must be CR LF: Redis does not look, a proxy must not guess", (),
          lambda raw: b"answer" if raw in (b"+PONG\r\n", b"-ERR Protocol error: bulk is not followed by CR LF\r\n")
          else raw),
    Entry("end-when-mute", "after CLIENT REPLY OFF, Redis 7.0 hears nothing more of a client that sends QUIT or breaks "
          "the protocol, and never closes it; respgate closes", (),
          lambda raw: re.sub(rb"<(open|closed)>$", b"", raw)),
    Entry("client-id-in-exec", "CLIENT ID in a transaction is answered by the server: the id of the connection pinned",
          (), sub(rb"^(\*\d+\r\n):\d+", rb"\1:ID")),
    Entry("client-setinfo", "CLIENT SETINFO (Redis 7.2) is answered by respgate whatever the server's version is", (),
          lambda raw: b"answer" if raw in (b"+OK\r\n", b"-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n")
          else raw),
    Entry("client-kill-user", "respgate has no list of the server's users: nobody of that name is connected", (),
          lambda raw: b"nobody" if raw in (b":0\r\n", b"-ERR No such user 'nosuch'\r\n") else raw),
    Entry("peer", "the server sees respgate's address", ("slowlog|get",),
          sub(rb"\$\d+\r\n127\.0\.0\.1:\d+", b"ADDRESS")),
    Entry("monitor", "time of the command and the address of respgate", (),
          sub(rb"^\+\d+\.\d+ \[(\d+) 127\.0\.0\.1:\d+\]", rb"+TIME [\1 ADDRESS]")),
    Entry("acl-log", "age, and respgate's connection in client-info; it asks about any login by AUTH", ("acl|log",),
          acl_log),
    Entry("noauth-first", "without a login respgate answers NOAUTH to all that needs one; Redis tells unknown commands "
          "and wrong numbers of arguments first, which takes the server's command list", (),
          lambda raw: b"denied" if raw.startswith(BEFORE_LOGIN) else raw),
    Entry("login-in-multi", "a login that respgate itself decides cannot be queued on the server: it is refused, and "
          "EXEC fails as after any error at queueing", (),
          lambda raw: b"transaction" if raw.startswith(LOGIN_IN_MULTI) else raw),
    Entry("noscript-healed", "a script known to respgate runs again although the server forgot it (the server was "
          "emptied behind its back): the application sees the result, not NOSCRIPT", (),
          lambda raw: b"healed" if raw.startswith((b"-NOSCRIPT", b":4242")) else raw),
]


class Ledger:
    """Counts what was compared and which entries were needed; collects the differences."""

    def __init__(self):
        self.entries = {entry.name: entry for entry in LIST}
        assert len(self.entries) == len(LIST), "two entries of one name"
        self.uses = dict.fromkeys(self.entries, 0)
        self.compared = self.excused = 0
        self.refused = {}
        self.replies = {}  # command -> [good, bad] replies compared
        self.groups = set()

    def count(self, row, raw):
        """A reply that was compared."""
        self.compared += 1
        good_bad = self.replies.setdefault(row, [0, 0])
        good_bad[raw.startswith((b"-", b"!"))] += 1

    def equal(self, row, allowed, direct, proxied):
        """Whether two replies are the same, but for what the list permits."""
        assert set(allowed) <= set(self.entries), f"not on the list: {allowed}"
        entries = [e for e in self.entries.values() if row in e.commands or e.name in allowed]
        needed = []
        same = direct == proxied
        for entry in entries:
            masked = entry.mask(direct), entry.mask(proxied)
            if masked != (direct, proxied):
                needed.append(entry)
            direct, proxied = masked
        if direct != proxied:
            return False
        self.excused += not same
        for entry in needed:
            self.uses[entry.name] += not same or entry.may_coincide
        return True

    def unused(self):
        """Entries nobody needed."""
        return sorted(name for name, uses in self.uses.items() if not uses)
