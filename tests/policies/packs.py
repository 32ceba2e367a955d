"""The policy pack under the real engine."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from pathlib import Path

from tests.support.stacks import ROOT

PACK = ROOT / "policies" / "run"
_FOUND = re.compile(r"- \[(mandatory|advisory)\]\s+(\S+)\s+\(\S+: ([^)]+)\)\n[^\n]+\n\s+([a-z0-9-]+) \(")


def pack(folder: Path, configuration: str) -> Path:
    """Return a copy of the pack with another configuration."""
    shutil.copytree(ROOT / "policies", folder / "policies", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv-policies").symlink_to(ROOT / ".venv-policies")
    (folder / "policies" / "policies.toml").write_text(configuration, encoding="utf-8")
    return folder / "policies" / "run"


def findings(output: str) -> dict[str, set[tuple[str, str]]]:
    """Return what the engine printed: policy of the pack and rule, by the resource's name."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for _, policy, name, rule in _FOUND.findall(output):
        found[name].add((policy, rule))
    return dict(found)
