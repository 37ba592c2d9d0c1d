"""The manual pages: no mistake in them, and nothing missing that the program has."""

import re
import subprocess
from pathlib import Path

import pytest

from harness import ROOT, respgate_binary, run_respgate

PROGRAM = ROOT / "deploy" / "man" / "respgate.1"
SETTINGS = Path(respgate_binary()).parent / "deploy" / "respgate.ini.5"


def mandoc(form, page):
    """What mandoc makes of a page."""
    return subprocess.run(["mandoc", f"-T{form}", str(page)], capture_output=True, text=True, timeout=30, check=False,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})


def text_of(page):
    """The page as it is read, without overstrikes, line breaks or the dashes that mdoc makes of minus signs."""
    done = mandoc("utf8", page)
    assert done.returncode == 0
    return " ".join(re.sub(r".\x08", "", done.stdout).split())


@pytest.mark.parametrize("page", [PROGRAM, SETTINGS], ids=lambda page: page.name)
def test_mandoc_has_nothing_to_say(page):
    """But that our other page is not installed."""
    said = mandoc("lint", page).stdout.splitlines()
    ours = re.compile(r"STYLE: referenced manual not found: Xr (respgate 1|respgate\.ini 5)\b")
    assert [line for line in said if not ours.search(line)] == []


def test_every_subcommand_flag_and_exit_code_of_the_help_is_there():
    text, usage = text_of(PROGRAM), run_respgate("--help").stdout
    names = set(re.findall(r"respgate ([a-z]+)\b.*  ", usage)) | set(re.findall(r"--?[a-z]+\b(?= |\])", usage))
    assert {"run", "completion", "--expect", "-c", "--override", "--once"} <= names
    assert [name for name in names if not re.search(rf"(?<![\w-]){name}\b", text)] == []
    codes = re.findall(r"\b(\d+) [a-z]", usage.split("exit codes:")[1])
    assert codes == ["0", "1", "2", "3", "64", "75", "78"]
    assert codes == re.findall(r" (\d+) [A-Z]", re.search("EXIT STATUS(.*)EXAMPLES", text)[1])


def test_every_setting_is_there_with_its_range_and_default():
    text, example = text_of(SETTINGS), run_respgate("config", "--example").stdout
    sections = re.findall(r"^#?\[([a-z]+)[^]]*\]$", example, re.MULTILINE)
    keys = re.findall(r"^[;#]?([a-z_]+) =", example, re.MULTILINE)
    assert len(sections) == 10 and len(keys) > 60
    assert [name for name in sections if not re.search(rf" \[{name}( NAME)?\] ", text)] == []
    assert [key for key in keys if f" {key} " not in text] == []
    assert "workers Threads that carry requests. One is enough for most applications. Takes a number from 1 to 64. " \
           "The default is ‘1’." in text


def test_the_page_s_example_is_a_valid_file(tmp_path):
    block = re.search(r"\.Bd -literal.*?\n(.*?)\.Ed", SETTINGS.read_text(), re.DOTALL)[1]
    path = tmp_path / "respgate.ini"
    path.write_text(block.replace("/run/secrets/redis-url", str(tmp_path / "url")))
    (tmp_path / "url").write_text("rediss://:secret@redis.example:6379\n")
    done = run_respgate("check", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "hosted" in done.stdout
