"""What the process is allowed once it listens, and what the binary was built with."""

import re
import subprocess
from pathlib import Path

import pytest

from harness import respgate_binary, wait_until

SETTINGS = {"listen.workers": 2}


def status_of(task):
    """The fields of a status file of /proc."""
    return dict(line.split(":\t", 1) for line in task.read_text().splitlines() if ":\t" in line)


def read_off(*tool):
    """What a tool of binutils says of the binary."""
    return subprocess.run([*tool, respgate_binary()], capture_output=True, text=True, check=True).stdout


@pytest.mark.figures
def test_every_thread_is_confined(start_respgate, redis_server):
    """No capability, none to be had, and the filter in force, in the workers as in the main thread."""
    gate = start_respgate(redis_server, settings=SETTINGS)
    assert 'capabilities=none seccomp=on' in gate.wait_for_log("confined")
    tasks = wait_until(lambda: [*Path(f"/proc/{gate.pid}/task").iterdir()][2:] and
                       [*Path(f"/proc/{gate.pid}/task").iterdir()], what="a main thread and two workers")
    for task in tasks:
        status = status_of(task / "status")
        assert [status[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [""] * 4
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status


@pytest.mark.figures
def test_the_binary_is_hardened():
    """Read off the binary that was built, not off the flags that were asked for."""
    assert "DYN (Position-Independent Executable file)" in read_off("readelf", "-hW")
    segments = read_off("readelf", "-lW")
    assert "GNU_RELRO" in segments and re.search(r"GNU_STACK.* RW +0x", segments)
    assert " RWE " not in segments
    dynamic = read_off("readelf", "-dW")
    assert "BIND_NOW" in dynamic and "TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic
    symbols = read_off("readelf", "--dyn-syms", "-W")
    assert "__stack_chk_fail" in symbols
    assert {"__memcpy_chk", "__snprintf_chk", "__fprintf_chk"} <= set(re.findall(r"__\w+_chk\b", symbols))


@pytest.mark.figures
def test_functions_begin_with_a_landing_pad():
    """CET: an indirect call may only land on endbr64. A function that nobody calls so needs none."""
    code = read_off("objdump", "-d", "--no-show-raw-insn")
    starts = re.findall(r"^[0-9a-f]+ <(main|on_\w+)>:\n\s*[0-9a-f]+:\s+(\S+)", code, re.M)
    landings = [name for name, first in starts if first == "endbr64"]
    assert "main" in landings and len(landings) > 50 and len(landings) >= 0.9 * len(starts)
