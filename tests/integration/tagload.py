"""Runs tests/tools/tagload, the load in which every reply must carry the tag of its request, and reads its verdict."""

import json
import subprocess
from pathlib import Path

from harness import ROOT, respgate_binary

COUNTS = ("replies", "wrong", "missing", "unknown", "unavailable", "state", "disconnects", "closed_by_peer",
          "reconnects", "pins", "kills", "killed")


def tagload_binary():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "tools" / "tagload"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("tagload is not built: meson compile -C build; tests do not skip")


class Verdict:
    """What one run of tagload said: `code`, the counts as attributes, and its words about the first wrong reply."""

    def __init__(self, run):
        self.code = run.returncode
        self.words = run.stderr
        assert run.stdout, f"tagload ended with {run.returncode} and no verdict:\n{run.stderr}"
        self.__dict__.update(json.loads(run.stdout))

    def __str__(self):
        counts = ", ".join(f"{name} {getattr(self, name)}" for name in COUNTS)
        return f"{counts}, {self.seconds} s, seed {self.seed}"


def run_tagload(port, replies, backend_port=None, kill_interval_ms=0, limit_seconds=240, **options):
    """Load 127.0.0.1:port until so many replies are verified; options are tagload's, with _ for -."""
    argv = [tagload_binary(), "--target", f"127.0.0.1:{port}", "--replies", str(replies)]
    argv += ["--max-seconds", str(limit_seconds - 40)]
    if kill_interval_ms:
        argv += ["--backend", f"127.0.0.1:{backend_port}", "--kill-interval-ms", str(kill_interval_ms)]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    run = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=limit_seconds, check=False)
    verdict = Verdict(run)
    print(verdict, verdict.words, sep="\n")
    return verdict


def keep_figure(line):
    """Append one line to tests/out/figures.txt, where figures outlive the run."""
    out = ROOT / "tests" / "out"
    out.mkdir(exist_ok=True)
    with open(out / "figures.txt", "a", encoding="utf-8") as figures:
        figures.write(line + "\n")
