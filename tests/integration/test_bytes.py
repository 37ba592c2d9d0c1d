"""Damaged pipelines to one Redis directly and to its like through respgate: what is accepted is answered and done alike.
BYTES_INPUTS=1000000 makes a long run of it."""

import os
import random
import subprocess
from pathlib import Path

from harness import ROOT, respgate_binary

INPUTS = int(os.environ.get("BYTES_INPUTS", "3000"))
SEED = int(os.environ.get("BYTES_SEED", random.randrange(1 << 30)))
SERVER = {"enable-debug-command": "yes"}


def bytediff_binary():
    """The tool of the same build as the respgate under test, else of the ordinary build."""
    for build in (Path(respgate_binary()).parent, ROOT / "build"):
        binary = build / "tests" / "tools" / "bytediff"
        if binary.exists():
            return str(binary)
    raise FileNotFoundError("bytediff is not built: meson compile -C build; tests do not skip")


def compare(direct, gate, behind, inputs, seed):
    """What the tool says."""
    return subprocess.run([bytediff_binary(), str(direct.port), str(gate.port), str(behind.port), str(inputs), str(seed)],
                          capture_output=True, text=True, errors="replace", timeout=30 + inputs / 20, check=False)


def test_damaged_bytes_mean_the_same_or_are_refused(start_respgate, start_redis, figure):
    direct, behind = start_redis(config=SERVER), start_redis(config=SERVER)
    done = compare(direct, start_respgate(behind), behind, INPUTS, SEED)
    assert done.returncode == 0, done.stderr
    figure(f"damaged pipelines, seed {SEED}: {done.stdout.strip()}")


def test_a_difference_is_found(start_redis):
    """Two servers that do not agree about one command."""
    direct = start_redis(config=SERVER)
    other = start_redis(config={**SERVER, "rename-command": 'STRLEN ""'})
    done = compare(direct, other, other, 1000, 1)
    assert done.returncode == 1 and "input" in done.stderr
