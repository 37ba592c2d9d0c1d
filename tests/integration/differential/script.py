"""The language of the corpus: commands in lines, conversations of several connections in blocks.

Words are separated by spaces, "..." keeps spaces, both take Python's escapes (\\x00, \\r). `;;` separates commands that
are sent in one write. Placeholders: {big:N} is N letters, {sha1:TEXT} (a word by itself) a script's name, {dump:KEY}
the DUMP of a key of the prepared keyspace, {library:F} the FUNCTION DUMP of a library with the function F, {id:C} the
CLIENT ID of connection C on the side at hand.

A line of a command file is one case on a fresh connection and a fresh keyspace; `!` before it: no variations of it.
A conversation is `## name`, optionally `| 2` or `| 3` for one protocol version only, then lines of
    a> COMMAND      send on connection a, read one reply for each command (a3> reads three, a0> none)
    a2= BYTES       send raw bytes, read two replies
    a2<             read two more replies, pushes or messages
    a/              the peer must have closed: read to the end
    a?              note what else comes and whether the peer closes, within a moment, and close
    a!              close the connection from here
    *> COMMAND      straight to the server on both sides, unseen: somebody else's doing
    *1~             wait until the server has one blocked client
    a> ... @@ name  a listed exception that applies to these replies
"""

import codecs
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
STEP = re.compile(r"([a-z*])(\d*)([>=</!?~])(?: (.*))?")
BIG = re.compile(r"\{big:(\d+)\}")
SHA1 = re.compile(r"\{sha1:(.*)\}", re.DOTALL)
LATER = re.compile(rb"\{(dump|id|library):(\w+)\}")


@dataclass
class Step:
    """One write on one connection and the replies it must bring."""

    kind: str
    connection: str = "a"
    commands: list = field(default_factory=list)
    raw: bytes = b""
    expect: int = 0
    allowed: tuple = ()
    text: str = ""


@dataclass
class Case:
    """Steps on connections of their own, after the keyspace was prepared."""

    name: str
    steps: list
    protocols: tuple = (2, 3)
    varied: bool = False

    @property
    def needs_ids(self):
        """Whether CLIENT ID must be known."""
        return any("{id:" in step.text for step in self.steps)


def unescape(text):
    """Bytes of a word."""
    return codecs.escape_decode(text.encode())[0]


def grown(text):
    """Text with its {big:N} written out."""
    return BIG.sub(lambda match: "x" * int(match[1]), text)


def words(text):
    """The arguments of one command."""
    out = []
    for match in WORD.finditer(grown(text)):
        word = match[2] if match[1] is None else match[1]
        script = SHA1.fullmatch(word)
        out.append(hashlib.sha1(script[1].encode()).hexdigest().encode() if script else unescape(word))
    return out


def pipeline(text):
    """The commands of a line."""
    return [words(part) for part in text.split(" ;; ")]


def resolve(value, look_up):
    """Replace what only the running side knows."""
    return LATER.sub(lambda match: look_up(match[1].decode(), match[2].decode()), value)


def lines_of(name):
    """Lines of a corpus file without blank lines and comments."""
    for line in (CORPUS / name).read_text().splitlines():
        if line.strip() and not re.match(r"#( |$)", line):
            yield line


def command_cases(name):
    """The cases of a command file."""
    cases = []
    for line in lines_of(name):
        text = line.removeprefix("! ")
        commands = pipeline(text)
        step = Step(">", commands=commands, expect=len(commands), text=text)
        cases.append(Case(text, [step], varied=text == line and len(commands) == 1))
    return cases


def parse_step(line):
    """One line of a conversation."""
    body, _, allowed = line.partition(" @@ ")
    match = STEP.fullmatch(body)
    assert match, f"not a step: {line}"
    connection, count, kind, text = match.groups()
    step = Step(kind, connection, allowed=tuple(allowed.split()), text=line)
    if kind == ">":
        step.commands = pipeline(text)
    elif kind == "=":
        step.raw = unescape(grown(text))
    step.expect = int(count) if count else len(step.commands)
    return step


def conversations(name):
    """The cases of a conversation file."""
    cases = []
    for line in lines_of(name):
        if line.startswith("## "):
            title, _, only = line.removeprefix("## ").partition(" | ")
            cases.append(Case(title, [], tuple(map(int, only.split())) or (2, 3)))
        else:
            cases[-1].steps.append(parse_step(line))
    return cases
