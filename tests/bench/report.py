"""Turns the rounds of a scenario into Markdown: medians with their spread, and the ratios of each round."""

import datetime
import os
import shlex
import statistics
import subprocess
import sys

import contestants

FIGURES = {
    "proxy": ("proxy CPU", lambda cost: cost.proxy_us),
    "redis": ("Redis CPU", lambda cost: cost.redis_us),
    "rate": ("requests/s", lambda cost: cost.rate),
}


def spread(values, digits):
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}-{max(values):.{digits}f})")


def ratios(rounds, figure, ours, theirs):
    """One ratio per round: what both contestants cost within the same few seconds."""
    value = FIGURES[figure][1]
    return [value(each[ours]) / value(each[theirs]) for each in rounds]


def cost_table(rounds):
    lines = ["| contestant | proxy us/req | Redis us/req | client us/req | req/s of one core | req/s seen | p50 us "
             "| p99 us |", "|---|---|---|---|---|---|---|---|"]
    for name in rounds[0]:
        costs = [each[name] for each in rounds]
        columns = [([cost.proxy_us for cost in costs], 2), ([cost.redis_us for cost in costs], 2),
                   ([cost.client_us for cost in costs], 2), ([cost.rate for cost in costs], 0),
                   ([cost.rate_seen for cost in costs], 0), ([cost.p50_us for cost in costs], 0),
                   ([cost.p99_us for cost in costs], 0)]
        cells = [spread(values, digits) for values, digits in columns]
        if name == "direct":
            cells[0] = "-"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def comparisons(scenario, names):
    """All (figure, whom) worth a line: each peer's CPU, and what a direct connection gives."""
    pairs = [("proxy", name) for name in names if name not in ("direct", "respgate")]
    if "direct" in names:
        pairs += [("rate", "direct"), ("redis", "direct")]
    pairs += [(t.figure, t.against) for t in scenario.targets if t.against in names]
    return list(dict.fromkeys(pairs))


def floor_cell(rounds, figure, against):
    """What the bare multiplexer reaches: a bound that it misses cannot be met here."""
    if "floor" not in rounds[0] or against == "floor":
        return ""
    return f"{statistics.median(ratios(rounds, figure, 'floor', against)):.3f}"


def ratio_table(scenario, rounds):
    names = list(rounds[0])
    if "respgate" not in names:
        return []
    bounds = {(target.figure, target.against): target for target in scenario.targets}
    lines = ["", "| respgate / | ratio per round | target | | the floor's ratio |", "|---|---|---|---|---|"]
    for figure, against in comparisons(scenario, names):
        values = ratios(rounds, figure, "respgate", against)
        target = bounds.get((figure, against))
        verdict = ("met" if target.met(statistics.median(values)) else "MISSED") if target else ""
        bound = f"{target.relation} {target.bound:.2f}" if target else ""
        lines.append(f"| {against}: {FIGURES[figure][0]} | {spread(values, 3)} | {bound} | {verdict} "
                     f"| {floor_cell(rounds, figure, against)} |")
    return lines


def scenario_section(scenario, rounds, noise):
    strangers = max(cost.strangers for each in rounds for cost in each.values())
    return [f"### {scenario.name}: {scenario.title}", "", *cost_table(rounds), *ratio_table(scenario, rounds), "",
            f"{len(rounds)} rounds, median (min-max); {noise.repeated} slices repeated because others used the "
            f"core, {noise.accepted} rounds kept though they did; others used at most {strangers:.0%}.", ""]


def first_line(argv):
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError:
        return "not found"
    return next(iter(done.stdout.splitlines()), "no answer")


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def congestion_control():
    """Costs time on loopback as well, and differs between machines."""
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
        return file.read().strip()


def circumstances(names, cpu):
    """Where, when and with what the figures came to be."""
    system = os.uname()
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join(["tests/bench/" + os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "machine": f"{processor()}, {os.cpu_count()} cores, all on core {cpu}",
        "kernel": f"{system.sysname} {system.release} {system.machine}, TCP congestion control {congestion_control()}",
    }
    for program in dict.fromkeys(map(contestants.program, ["direct", *names])):
        if program in contestants.VERSION_COMMANDS:
            facts[program] = first_line(contestants.VERSION_COMMANDS[program])
    return facts


def circumstances_section(facts):
    return [f"- {name}: {value}" for name, value in facts.items()] + [""]
