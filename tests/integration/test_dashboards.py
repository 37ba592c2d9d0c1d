"""Proves that the dashboard and the alerts name only metrics and labels that a running respgate shows, and that the alerts
fire when they should."""

import json
import re
import subprocess

import pytest

from harness import ROOT
from limits import RULES, rule_settings
from stats_view import metrics
from test_limits_metrics import REPAIRS

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
ALERT_TESTS = ROOT / "deploy" / "prometheus" / "alerts_test.yaml"
README = ROOT / "README.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "respgate.json"
USE = re.compile(r"\b((?:respgate|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
ADDED_BY_PROMETHEUS = {"job", "instance"}


def uses(text):
    """(metric, {label: (operator, value)}) for each selector in an expression."""
    for name, labels in USE.findall(text):
        yield name, {label: (operator, value)
                     for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', labels)}


def expressions_of(node):
    """Every expression of the dashboard: panels, annotations and variables."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from expressions_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions_of(value)


def mistakes(expressions, shown):
    """What the expressions name that is not shown: metrics, labels, and label values given outright."""
    known = {}
    for series in shown:
        name, _, labels = series.partition("{")
        known.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    found = []
    for expression in expressions:
        for name, labels in uses(expression):
            if name not in known:
                found.append(name)
                continue
            for label, (operator, value) in labels.items():
                values = {series.get(label) for series in known[name]}
                if label in ADDED_BY_PROMETHEUS:
                    continue
                wanted = set(value.split("|")) if operator in ("=", "!=", "=~", "!~") else set()
                if not wanted <= values:
                    found.append(f'{name}{{{label}{operator}"{value}"}}')
    return found


@pytest.fixture
def shown(start_redis, start_respgate):
    """Every series of a respgate with two backends and limits of all kinds."""
    first, second = start_redis(), start_redis()
    return metrics(start_respgate("", settings={"backend.a.url": first.url(), "backend.b.url": second.url(),
                                                **rule_settings({**RULES, **REPAIRS})}))


def rule_expressions():
    """The expr lines of the alerts."""
    found = re.findall(r"^ +expr: (.*)$", ALERTS.read_text(), re.M)
    assert len(found) == ALERTS.read_text().count("- alert:") >= 9
    return found


def test_rules_name_only_what_is_shown(shown):
    assert mistakes(rule_expressions(), shown) == []


def test_dashboard_names_only_what_is_shown(shown):
    found = list(expressions_of(json.loads(DASHBOARD.read_text())))
    assert len(found) > 30
    assert mistakes(found, shown) == []


def test_readme_names_only_what_is_shown(shown):
    names = re.findall(r"`(?:respgate_)?([a-z_]+)\{|`respgate_([a-z_]+)[`{]", README.read_text())
    known = {series.partition("{")[0].removeprefix("respgate_") for series in shown}
    found = {name for pair in names for name in pair if name}
    assert len(found) >= 7
    assert found <= known


@pytest.mark.parametrize("expression, mistake", [
    ("rate(respgate_nosuch_total[5m]) > 0", "respgate_nosuch_total"),
    ('respgate_backend_state{state="broken"} == 1', 'respgate_backend_state{state="broken"}'),
    ('respgate_ready{backend="a"}', 'respgate_ready{backend="a"}'),
    ('respgate_requests_closed_total{outcome=~"rgunknown|gone"}', 'respgate_requests_closed_total{outcome=~"rgunknown|gone"}'),
])
def test_what_is_not_shown_is_found(shown, expression, mistake):
    assert mistakes([expression], shown) == [mistake]


def test_rules_are_valid_and_fire_when_they_should(tmp_path):
    for arguments in (("check", "rules", ALERTS), ("test", "rules", ALERT_TESTS)):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)", ALERT_TESTS.read_text()))
    assert tested == set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))


def test_a_rule_that_fires_too_late_is_found(tmp_path):
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text().replace("for: 30s", "for: 5m"))
    (tmp_path / "alerts_test.yaml").write_text(ALERT_TESTS.read_text())
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "alerts_test.yaml"], capture_output=True, text=True,
                          check=False)
    assert done.returncode != 0 and "RespgateNoBackend" in done.stdout + done.stderr


def test_dashboard_has_its_rows_and_no_panel_over_another():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len([panel for panel in panels if panel["type"] == "row"]) == 5
    taken = {}
    for panel in panels:
        grid = panel["gridPos"]
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert x < 24 and (x, y) not in taken, f"{panel['title']} over {taken.get((x, y))}"
                taken[x, y] = panel["title"]
