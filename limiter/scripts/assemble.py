"""Puts the limiter's Lua scripts together, for the build and for the tests, so that both run the same bytes.

One script as it goes to a backend is: the dialect's first line, prelude.lua, and the script itself, in which each line
`-- part: name` stands for parts/name.lua. Comments and indentation are left out: EVAL inside MULTI carries all of it.
Run as `assemble.py OUTPUT DEPFILE` it writes a line a script for C: SCRIPT(name, SHA1 of the plain dialect, SHA1 of the
Upstash dialect, first line of the Upstash dialect, text of the plain dialect); and, for the build, what it read.
"""

import hashlib
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


def c_script(name):
    """One SCRIPT(...) line."""
    shas = (hashlib.sha1(assemble(name, dialect).encode()).hexdigest() for dialect in ("plain", "upstash"))
    parts = [f'"{sha}"' for sha in shas] + [c_string(DIALECTS["upstash"]).strip()]
    return f"SCRIPT({name}, {', '.join(parts)},\n{c_string(assemble(name))})\n"


def main(output, depfile):
    """Write the include file of all scripts."""
    Path(output).write_text("".join(map(c_script, names())))
    # The folders too: they change with a file that comes or goes.
    read = [FOLDER, FOLDER / "parts", *sorted(FOLDER.rglob("*.lua")), __file__]
    Path(depfile).write_text(f"{output}: {' '.join(map(str, read))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
