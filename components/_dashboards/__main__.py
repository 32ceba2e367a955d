"""Writes every dashboard to components/dashboards, or to the folder that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from components._dashboards import ab_testing, model_performance

FOLDER = Path(__file__).parents[1] / "dashboards"
_BUILDERS = {"ab-testing": ab_testing.build, "model-performance": model_performance.build}


def render() -> dict[str, str]:
    """Return the dashboards' JSON by name."""
    return {
        name: JSONEncoder(sort_keys=True, indent=1).encode(build().build()) + "\n" for name, build in _BUILDERS.items()
    }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for dashboard_name, text in render().items():
        (target / f"{dashboard_name}.json").write_text(text, encoding="utf-8")
