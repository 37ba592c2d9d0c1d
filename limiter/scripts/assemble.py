"""Puts the limiter's Lua scripts together, for the build and for the tests, so that both run the same bytes.

One script as it goes to a backend is: the dialect's first line, prelude.lua, and the script itself, in which each line
`-- part: name` stands for parts/name.lua. Comments and indentation are left out: EVAL inside MULTI carries all of it.
Run as `assemble.py OUTPUT` it writes one line a script for C: SCRIPT(name, "text of the plain dialect").
The other dialects are their first line and that same text.
"""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# Upstash locks the whole database for a script unless it says that it touches its KEYS only. Redis refuses that flag.
DIALECTS = {"plain": "", "upstash": "#!lua flags=allow-key-locking\n"}


def names():
    """All scripts, by name."""
    return sorted(path.stem for path in FOLDER.glob("*.lua") if path.stem != "prelude")


def stripped(source):
    """Code lines only, parts put in. A comment has a line of its own and no string spans lines, so no Lua is parsed."""
    for line in map(str.strip, source.splitlines()):
        part = re.fullmatch(r"-- part: (\w+)", line)
        if part:
            yield from stripped((FOLDER / "parts" / f"{part.group(1)}.lua").read_text())
        elif line and not line.startswith("--"):
            yield f"{line}\n"


def assemble(name, dialect="plain"):
    """The text of one script, as SCRIPT LOAD and EVAL take it."""
    source = (FOLDER / "prelude.lua").read_text() + (FOLDER / f"{name}.lua").read_text()
    return DIALECTS[dialect] + "".join(stripped(source))


def c_string(text):
    """A C string literal, a source line a line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(f'    "{line}\\n"' for line in escaped.splitlines())


def main(output):
    """Write the include file of all scripts."""
    Path(output).write_text("".join(f"SCRIPT({name},\n{c_string(assemble(name))})\n" for name in names()))


if __name__ == "__main__":
    main(sys.argv[1])
