"""Proves `respgate replay`: the decisions of a log, made again, are the logged ones byte for byte, and no other passes."""

import json
import random
import subprocess

import pytest

from harness import respgate_binary, respgate_env, run_respgate

# One for each reason there is, worked out by hand.
BY_HAND = [
    "in=up,up current=none pinned=none failback=auto grace=no out=0 why=first",
    "in=unknown,up current=none pinned=none failback=auto grace=no out=1 why=first",
    "in=unknown,up current=none pinned=none failback=auto grace=yes out=none why=waiting",
    "in=suspect,up current=0 pinned=none failback=auto grace=no out=0 why=kept",
    "in=up(held),up current=1 pinned=none failback=auto grace=no out=1 why=kept",
    "in=up,up current=1 pinned=none failback=auto grace=no out=0 why=failback",
    "in=up,up current=1 pinned=none failback=sticky grace=no out=1 why=kept",
    "in=down,up current=0 pinned=none failback=auto grace=no out=1 why=failover",
    "in=up,down,up current=1 pinned=none failback=manual grace=no out=2 why=failover",
    "in=up,down,up current=1 pinned=none failback=sticky grace=no out=0 why=failover",
    "in=up(held),down,suspect current=1 pinned=none failback=auto grace=no out=0 why=failover",
    "in=up,up,suspect current=0 pinned=2 failback=auto grace=no out=2 why=pinned",
    "in=up,wrong current=0 pinned=1 failback=auto grace=no out=none why=all_down",
    "in=down,wrong,unknown current=0 pinned=none failback=auto grace=yes out=none why=all_down",
    "in= current=none pinned=none failback=auto grace=yes out=none why=all_down",
]


def logfmt(decision, msg="decision"):
    return f'time=2026-01-01T00:00:00.000Z level=info msg={msg} epoch=7 decision="{decision}"'


def as_json(decision, msg="decision"):
    line = {"time": "2026-01-01T00:00:00.000Z", "level": "info", "msg": msg, "epoch": 7, "decision": decision}
    return json.dumps(line, separators=(",", ":"))


def replay(lines):
    """Through standard input: exit code, decisions printed, standard error by lines."""
    done = subprocess.run([respgate_binary(), "replay", "-"], input="".join(line + "\n" for line in lines),
                          env=respgate_env(), capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.mark.parametrize("write", [logfmt, as_json])
def test_the_same_decisions_come_out(tmp_path, write):
    log = tmp_path / "respgate.log"
    log.write_text("".join(write(decision) + "\n" for decision in BY_HAND))
    done = run_respgate("replay", str(log))
    assert (done.returncode, done.stdout.splitlines()) == (0, BY_HAND)
    assert done.stderr == f"{len(BY_HAND)} decisions, {len(BY_HAND)} identical\n"


@pytest.mark.parametrize("write", [logfmt, as_json])
@pytest.mark.parametrize("decision", BY_HAND)
def test_another_outcome_is_reported(write, decision):
    head, out, why = decision.rsplit(" ", 2)
    for changed in (f"{head} {'out=0' if out == 'out=none' and 'in= ' not in head else 'out=none'} why=pinned",
                    f"{head} {out} {'why=kept' if why != 'why=kept' else 'why=first'}"):
        code, printed, errors = replay([write(BY_HAND[0]), write(changed), write(BY_HAND[1])])
        assert (code, printed) == (1, [BY_HAND[0], decision, BY_HAND[1]])
        assert errors == [f"line 2: logged:     {changed}", f"line 2: recomputed: {decision}",
                          "3 decisions, 2 identical"]


def random_decision(rng):
    """A random input with an outcome that may be wrong."""
    count = rng.randint(1, 6)
    states = [rng.choice(("unknown", "up", "suspect", "down", "wrong")) + rng.choice(("", "(held)"))
              for _ in range(count)]
    current, pinned, out = (rng.choice(("none", rng.randrange(count))) for _ in range(3))
    return (f"in={','.join(states)} current={current} pinned={pinned} failback="
            f"{rng.choice(('auto', 'manual', 'sticky'))} grace={rng.choice(('yes', 'no'))} out={out} why=kept")


def test_thousands_of_decisions():
    rng = random.Random(14)
    drawn = [random_decision(rng) for _ in range(5000)]
    code, decisions, errors = replay(map(logfmt, drawn))
    identical = sum(a == b for a, b in zip(drawn, decisions, strict=True))
    assert (code, errors[-1]) == (1, f"5000 decisions, {identical} identical")
    assert [line.rsplit(" ", 2)[0] for line in decisions] == [line.rsplit(" ", 2)[0] for line in drawn]

    lines = [rng.choice((logfmt, as_json))(decision) for decision in decisions]
    assert replay(lines) == (0, decisions, ["5000 decisions, 5000 identical"])

    at = rng.randrange(5000)
    changed = decisions[at].rsplit(" ", 1)[0] + " why=" + ("kept" if "why=kept" not in decisions[at] else "first")
    lines[at] = logfmt(changed)
    assert replay(lines) == (1, decisions, [
        f"line {at + 1}: logged:     {changed}", f"line {at + 1}: recomputed: {decisions[at]}",
        "5000 decisions, 4999 identical"])


@pytest.mark.parametrize("line,reason", [
    (logfmt(BY_HAND[0].replace("up,", "fine,")), "a state is expected at"),
    (logfmt(BY_HAND[0] + " more=1"), "the end is expected at"),
    (logfmt(BY_HAND[0])[:-1], "damaged line"),
    (as_json(BY_HAND[0])[:-1], "damaged line"),
    ("time=x level=info msg=decision epoch=1", "damaged line"),
    (logfmt("x" * 1000), "damaged line"),
])
def test_a_damaged_decision_is_reported(line, reason):
    code, printed, errors = replay([logfmt(BY_HAND[0]), line])
    assert (code, printed) == (1, [BY_HAND[0]])
    assert errors[1].startswith(f"line 2: not a decision: {reason}")
    assert errors[-1] == "2 decisions, 1 identical"


def test_other_lines_are_passed_over():
    lines = ["", "Traceback (most recent call last):", '{"nested": {"json": [1.5]}}', logfmt("nonsense", msg="other"),
             'time=x level=info msg="client closed" reason="a \\"decision\\" of its own"', as_json(BY_HAND[3])]
    assert replay(lines) == (0, [BY_HAND[3]], ["1 decisions, 1 identical"])


@pytest.mark.parametrize("arguments", [("replay",), ("replay", "a", "b"), ("replay", "--json", "a"), ("replay", "-c", "a")])
def test_usage(arguments):
    done = run_respgate(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert "usage" in done.stderr


def test_a_file_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.log", tmp_path):
        done = run_respgate("replay", str(path))
        assert (done.returncode, done.stdout) == (1, "")
        assert str(path) in done.stderr
