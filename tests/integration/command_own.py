"""respgate's own commands in raw replies to COMMAND and its kin: taking replies apart, and ours out of them."""

import csv

from harness import ROOT


def own_commands():
    """The names of all rows of class LIMIT, in lower case."""
    with open(ROOT / "protocol" / "commands.tsv", newline="") as tsv:
        rows = csv.DictReader(tsv, delimiter="\t", quoting=csv.QUOTE_NONE)
        return sorted(row["command"].lower() for row in rows if row["class"] == "LIMIT")


OWN = own_commands()


def end_of(raw, start):
    """Where the value at `start` ends."""
    owed, at = 1, start
    while owed:
        line_end = raw.index(b"\r\n", at)
        kind, owed = raw[at : at + 1], owed - 1
        number = int(raw[at + 1 : line_end]) if kind in b"$!=*~>%" else 0
        at = line_end + 2
        if kind in b"$!=" and number >= 0:
            at += number + 2
        elif kind in b"*~>%":
            owed += max(number, 0) * (2 if kind == b"%" else 1)
    return at


def split(raw):
    """The kind of an aggregate and its parts, raw; those of a map are names and values in turn."""
    at, parts = raw.index(b"\r\n") + 2, []
    while at < len(raw):
        end = end_of(raw, at)
        parts.append(raw[at:end])
        at = end
    return raw[:1], parts


def name_in(part):
    """The name that an entry of COMMAND begins with, or that a bulk is; None for a null."""
    bulk = split(part)[1][0] if part.startswith(b"*") and not part.startswith(b"*-1") else part
    return None if bulk[:3] in (b"$-1", b"*-1", b"_\r\n") else bulk.split(b"\r\n")[1].decode()


def entries(raw, paired=False):
    """(name, raw entry) of a reply to COMMAND, INFO or LIST; `paired`: to DOCS, where a name precedes each entry."""
    _, parts = split(raw)
    step = 2 if paired else 1
    return [(name_in(parts[i]), b"".join(parts[i : i + step])) for i in range(0, len(parts), step)]


def without_own(raw, paired=False):
    """The reply as the server would have sent it."""
    if raw[:1] not in b"*~%":
        return raw
    kept = [entry for name, entry in entries(raw, paired) if name not in OWN]
    return b"%b%d\r\n%b" % (raw[:1], len(kept) * (2 if paired and raw[:1] != b"%" else 1), b"".join(kept))


def same_shape(one, other):
    """Whether two replies have the same types, element by element; lists of one type may differ in length."""
    if one[:1] != other[:1]:
        return False
    if one[:1] not in b"*~%" or one.startswith(b"*-1"):
        return one.startswith(b"*-1") == other.startswith(b"*-1")
    (_, parts), (_, others) = split(one), split(other)
    if not parts or not others:
        return True
    if len({part[:1] for part in parts + others}) == 1:
        return all(same_shape(part, others[0]) for part in parts) and all(same_shape(part, parts[0]) for part in others)
    return len(parts) == len(others) and all(map(same_shape, parts, others))
