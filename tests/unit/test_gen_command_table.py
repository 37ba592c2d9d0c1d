"""Proves that a wrong row of commands.tsv, or an id without a row, breaks the build instead of making a wrong table."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROTOCOL = pathlib.Path(os.environ["PROTOCOL_DIR"])
TSV = (PROTOCOL / "commands.tsv").read_text(encoding="ascii")
HEADER = (PROTOCOL / "command.h").read_text(encoding="ascii")


def generate(tsv, header=HEADER):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / name for name in ("commands.tsv", "command.h", "table.inc")]
        paths[0].write_text(tsv, encoding="ascii")
        paths[1].write_text(header, encoding="ascii")
        run = subprocess.run([sys.executable, PROTOCOL / "gen_command_table.py", *paths],
                             capture_output=True, text=True, check=False)
        return run.returncode, run.stderr, paths[2].exists()


def with_column(name, column, value):
    """commands.tsv with one column of the row `name` changed."""
    lines = TSV.splitlines()
    index = next(i for i, line in enumerate(lines) if line.startswith(name + "\t-\t"))
    columns = lines[index].split("\t")
    columns[lines[0].split("\t").index(column)] = value
    return "\n".join(lines[:index] + ["\t".join(columns)] + lines[index + 1:]) + "\n"


class Generator(unittest.TestCase):
    def refused(self, what, tsv, header=HEADER):
        code, stderr, made = generate(tsv, header)
        self.assertNotEqual(code, 0)
        self.assertIn(what, stderr)
        self.assertFalse(made)

    def test_the_project_s_table(self):
        self.assertEqual(generate(TSV), (0, "", True))

    def test_unknown_words(self):
        self.refused("row GET -: class 'PINNED'", with_column("GET", "class", "PINNED"))
        self.refused("row GET -: lane 'any'", with_column("GET", "lane", "any"))
        self.refused("row GET -: flag 'fast'", with_column("GET", "flags", "read|fast"))

    def test_an_id_without_a_row(self):
        self.refused("no row for the id PONG", TSV, HEADER.replace("X(PING)", "X(PONG)"))

    def test_names(self):
        self.refused("not upper case", with_column("GET", "command", "get"))
        self.refused("twice", with_column("GET", "command", "SET"))
        self.refused("CLIENT has subcommands", TSV.replace("CLIENT\t*\t", "CLIENT\tANY\t"))
        self.refused("no row <UNKNOWN>", TSV.replace("<UNKNOWN>", "UNKNOWN"))


if __name__ == "__main__":
    unittest.main()
