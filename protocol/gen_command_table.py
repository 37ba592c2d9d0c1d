#!/usr/bin/env python3
"""Turns commands.tsv into command_table.inc, which command.c includes; meson runs it at build time.

commands.tsv was made from the public command tables of Redis (7.0 to 8.10), Redis Stack modules, Valkey (7.2 to 9) and
Upstash, with a class and a lane by judgement of this project. Columns: command, subcommand ("*" is the row for
subcommands that have none of their own), class, keys, flags, since, note, lane, unpin, arity, seen_in. Correct a row by
editing the file.

The build fails here when a row holds a word that command.h does not know, or when an id of COMMAND_IDS has no row.

Usage: gen_command_table.py commands.tsv command.h command_table.inc
"""
import csv
import re
import sys

# Rows that describe events, not commands.
NOT_COMMANDS = {"<EMPTY>", "<PROTOCOL-ERROR>"}
UNKNOWN = "<UNKNOWN>"
# Containers whose every row has the id of the "*" row.
ONE_ID = {"HIMPORT"}
CLASSES = {"SHARED", "PIN", "LOCAL", "REWRITE", "REFUSE", "LIMIT"}
LANES = {"none": "NONE", "shared": "SHARED", "pin": "PIN", "control": "CONTROL", "lane": "OWN"}
FLAGS = {
    "read": "READ", "write": "WRITE", "admin": "ADMIN", "dangerous": "DANGEROUS", "blocking": "BLOCKING",
    "pubsub": "PUBSUB", "no_auth": "NO_AUTH", "no_multi": "NO_MULTI", "noscript": "NOSCRIPT", "denyoom": "DENYOOM",
    "allow_busy": "ALLOW_BUSY", "movablekeys": "MOVABLE_KEYS", "module": "MODULE", "protected": "PROTECTED",
    "may_replicate": "MAY_REPLICATE", "only_sentinel": "ONLY_SENTINEL",
}
SLOT_BITS = 12
NO_ROW = 0xFFFF
MASK = (1 << 64) - 1


def fail(what):
    sys.exit(f"gen_command_table.py: {what}")


def read_rows(path):
    with open(path, encoding="ascii", newline="") as tsv:
        rows = list(csv.DictReader(tsv, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [row for row in rows if row["command"] not in NOT_COMMANDS]
    rows.sort(key=lambda row: (row["command"], row["subcommand"]))
    return rows


def where(row):
    return f"row {row['command']} {row['subcommand']}"


def check_rows(rows):
    """Names are upper case and unique, and a container has a row to fall back on."""
    subcommands = {}
    for row in rows:
        if row["command"] != row["command"].upper() or row["subcommand"] != row["subcommand"].upper():
            fail(f"{where(row)}: not upper case")
        known = subcommands.setdefault(row["command"], set())
        if row["subcommand"] in known:
            fail(f"{where(row)}: twice")
        known.add(row["subcommand"])
    for command, known in subcommands.items():
        if known != {"-"} and ("-" in known or "*" not in known):
            fail(f"{command} has subcommands, so it needs one row '*' and none '-'")
    if UNKNOWN not in subcommands:
        fail(f"no row {UNKNOWN}")


def id_of(row):
    """AUTH -> AUTH, TS.READ -> TS_READ, HOST: -> HOST, CLIENT NO-EVICT -> CLIENT_NO_EVICT, CLIENT * -> CLIENT_ANY."""
    if row["command"] == UNKNOWN:
        return "UNKNOWN"
    sub = "*" if row["command"] in ONE_ID else row["subcommand"]
    words = [row["command"]] + ([] if sub == "-" else ["ANY" if sub == "*" else sub])
    return "_".join(re.sub(r"[^A-Z0-9]+", "_", word).strip("_") for word in words)


def read_ids(path):
    with open(path, encoding="ascii") as header:
        ids = re.findall(r"\bX\((\w+)\)", header.read().split("#define COMMAND_IDS(X)")[1].split("enum command_id")[0])
    return set(ids) | {"UNKNOWN"}


def word(row, column, known):
    if row[column] not in known:
        fail(f"{where(row)}: {column} '{row[column]}' is not one of {', '.join(sorted(known))}")
    return row[column]


def c_flags(row):
    names = [] if row["flags"] == "-" else row["flags"].split("|")
    for name in names:
        if name not in FLAGS:
            fail(f"{where(row)}: flag '{name}' is not one of {', '.join(sorted(FLAGS))}")
    return " | ".join(f"COMMAND_{FLAGS[name]}" for name in names) or "0"


def c_row(index, row, ids):
    name, sub = row["command"], "" if row["subcommand"] == "-" else row["subcommand"]
    arity = 0 if row["arity"] == "-" else int(row["arity"])
    cls = word(row, "class", CLASSES)
    lane = LANES[word(row, "lane", LANES)]
    command_id = id_of(row) if id_of(row) in ids else "OTHER"
    c_sub = f'"{sub}"' if sub else "NULL"
    return (f'    {{"{name}", {c_sub}, {len(name)}, {len(sub)}, COMMAND_{cls}, COMMAND_ON_{lane}, '
            f"CMD_{command_id}, {arity}, {c_flags(row)}, {index}}},")


def little(data):
    return int.from_bytes(data, "little")


def head_and_tail(name):
    """The first and last eight bytes; the same as key_of() in command.c."""
    text, length = name.encode(), len(name)
    if length >= 8:
        return little(text[:8]), little(text[-8:])
    if length >= 4:
        return little(text[:4]) | little(text[-4:]) << 32, 0
    return text[0] | text[length // 2] << 8 | text[-1] << 16, 0


def slot_of(key, multiplier):
    """The same as slot_of() in command.c."""
    head, tail, parent, length = key
    tail = (tail << 23 | tail >> 41) & MASK
    mixed = head ^ tail ^ (parent << 8 | length)
    return (mixed * multiplier & MASK) >> (64 - SLOT_BITS)


def make_keys(rows):
    """A key per row. The key of a container's "*" row is its name; other subcommands point at that row, plus one."""
    parents = {row["command"]: i + 1 for i, row in enumerate(rows) if row["subcommand"] == "*"}
    keys = []
    for row in rows:
        if row["subcommand"] in ("-", "*"):
            name, parent = row["command"], 0
        else:
            name, parent = row["subcommand"], parents[row["command"]]
        keys.append((*head_and_tail(name), parent, len(name)))
    return keys


def fill(rows, keys, multiplier):
    """Open addressing. Names go first, so that mostly subcommands are the ones displaced. Returns cost and slots."""
    slots = [NO_ROW] * (1 << SLOT_BITS)
    cost = 0
    for i in sorted(range(len(rows)), key=lambda i: (keys[i][2], i)):
        if rows[i]["command"] == UNKNOWN:
            continue
        slot = slot_of(keys[i], multiplier)
        while slots[slot] != NO_ROW:
            slot = (slot + 1) % len(slots)
            cost += 1 if keys[i][2] else 10
        slots[slot] = i
    return cost, slots


def best_table(rows, keys, tries=64):
    candidates = [(0x9E3779B97F4A7C15 * (2 * i + 1) & MASK) | 1 for i in range(tries)]
    return min((*fill(rows, keys, multiplier), multiplier) for multiplier in candidates)


def render(rows, ids):
    keys = make_keys(rows)
    _, slots, multiplier = best_table(rows, keys)
    unknown = next(i for i, row in enumerate(rows) if row["command"] == UNKNOWN)
    lines = [
        "/* Made by gen_command_table.py. */",
        f"enum {{ SLOT_BITS = {SLOT_BITS}, NO_ROW = {NO_ROW}, UNKNOWN_ROW = {unknown}, "
        f"LONGEST_NAME = {max(key[3] for key in keys)} }};",
        f"static const uint64_t SLOT_MULTIPLIER = UINT64_C({multiplier:#x});",
        "static const struct command commands[] = {",
        *(c_row(i, row, ids) for i, row in enumerate(rows)),
        "};",
        "static const struct command_key keys[] = {",
        *(f"    {{UINT64_C({head:#x}), UINT64_C({tail:#x}), {parent}, {length}}}," for head, tail, parent, length in keys),
        "};",
        f"static const uint16_t slots[{1 << SLOT_BITS}] = {{",
        *("    " + ", ".join(map(str, slots[i:i + 16])) + "," for i in range(0, len(slots), 16)),
        "};",
    ]
    return "\n".join(lines) + "\n"


def main():
    tsv, header, output = sys.argv[1:]
    rows, ids = read_rows(tsv), read_ids(header)
    check_rows(rows)
    missing = ids - {id_of(row) for row in rows}
    if missing:
        fail(f"no row for the id {', '.join(sorted(missing))}")
    text = render(rows, ids)
    with open(output, "w", encoding="ascii") as out:
        out.write(text)


if __name__ == "__main__":
    main()
