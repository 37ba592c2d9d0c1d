"""Variations of a good command: too few and too many arguments, odd spelling, odd values, keys of other types."""

KEYS = [b"s", b"n", b"l", b"h", b"st", b"z", b"x", b"nokey"]
VALUES = [b"", b"abc", b"-1", b"9223372036854775807", b"\x00\xff\r\n\x80"]

# The keyspace before each case: keys of each type and encoding, nothing that depends on the time of day.
KEYSPACE = [
    [b"SET", b"s", b"hello world"], [b"SET", b"n", b"10"], [b"SET", b"f", b"1.5"],
    [b"SET", b"bin", b"\x00\xff\r\n\x80"], [b"SET", b"big", b"x" * 20000],
    [b"SET", b"e", b"1", b"PXAT", b"4000000000000"],
    [b"RPUSH", b"l", b"a", b"b", b"c", b"1", b"a"], [b"RPUSH", b"nl", b"3", b"1", b"2"],
    [b"HSET", b"h", b"f1", b"v1", b"f2", b"2", b"f3", b"1.5"], [b"HSET", b"h1", b"f", b"v"],
    [b"SADD", b"st", b"a", b"b", b"c"], [b"SADD", b"ints", b"1", b"2", b"3"], [b"SADD", b"one", b"only"],
    [b"ZADD", b"z", b"1", b"a", b"2", b"b", b"3", b"c"], [b"ZADD", b"lex", b"0", b"a", b"0", b"b", b"0", b"c"],
    [b"ZADD", b"z1", b"1", b"only"],
    [b"XADD", b"x", b"1-1", b"f", b"v"], [b"XADD", b"x", b"2-1", b"f", b"v2"], [b"XADD", b"x", b"3-1", b"g", b"w"],
    [b"XGROUP", b"CREATE", b"x", b"g", b"0"],
    [b"GEOADD", b"geo", b"13.361389", b"38.115556", b"Palermo", b"15.087269", b"37.502669", b"Catania"],
    [b"PFADD", b"hll", b"a", b"b", b"c"],
]


def odd_case(name):
    """sEt for SET."""
    return bytes(c | 0x20 if i % 2 else c & ~0x20 for i, c in enumerate(name)) if name.isalpha() else name.lower()


def variations(command):
    """Changed forms of one command, each a list of arguments."""
    yield [odd_case(command[0]), *command[1:]]
    yield [*command, b"extra"]
    for length in range(len(command) - 1, 0, -1):
        yield command[:length]
    for at in range(1, len(command)):
        yield from replaced(command, at)


def replaced(command, at):
    """The command with another value at one place."""
    others = VALUES + (KEYS if command[at] in KEYS else [])
    for value in others:
        if value != command[at]:
            yield [*command[:at], value, *command[at + 1:]]
    if command[at].isalpha() and command[at] not in KEYS:
        yield [*command[:at], odd_case(command[at]), *command[at + 1:]]
