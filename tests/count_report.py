"""Prints "passed failed" for a JUnit report of pytest or meson. A skipped case counts as failed: nothing is skipped here."""

import sys
from xml.etree import ElementTree


def count(path):
    """The two numbers for one report; a report without any case is one failure."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    bad = [case for case in cases if any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))]
    return len(cases) - len(bad), len(bad) if cases else 1


if __name__ == "__main__":
    print(*count(sys.argv[1]))
