"""The fenced blocks of README.md, for tests that run what stands there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(after, text=README):
    """The first fenced block behind these words."""
    return re.search(r"```\w*\n(.*?)```", text[text.index(after):], re.DOTALL)[1]


def section(title):
    """A chapter by its title."""
    return re.search(rf"^## {title}\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)[1]


DEPLOY = section("Five ways to deploy")
COMPOSE = block("**Compose**", DEPLOY)
GITHUB = block("**GitHub Actions**", DEPLOY)
KUBERNETES = block("**Kubernetes**", DEPLOY)
SYSTEMD = block("**systemd**", DEPLOY)
PLAIN = block("**A plain binary**", DEPLOY)
