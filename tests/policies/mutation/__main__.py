"""`python -m tests.policies.mutation [RULE ...]`: the mutation score of all rules, or of those named as their files.

Exit code 1 if a change survives that survivors.toml does not list, if it lists one that does not, or if the score is
below the goal.
"""

from __future__ import annotations

import sys
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from tests.policies.mutation import Tried, attempt, files

_GOAL_PERCENT: Final = 95.0
_SURVIVORS: Final = Path(__file__).resolve().parent / "survivors.toml"
_PROCESSES: Final = 2


def main(wanted: list[str]) -> int:
    """Try all changes of the rules named, or of all; return the exit code."""
    known = files()
    if unknown := [name for name in wanted if name not in known]:
        print(f"error: no such rule: {', '.join(unknown)}; named as their files are", file=sys.stderr)
        return 2
    chosen = wanted or known
    started = time.monotonic()
    tried: list[Tried] = []
    with ProcessPoolExecutor(_PROCESSES) as pool:
        for number, result in enumerate(pool.map(attempt, chosen), start=1):
            tried.append(result)
            total = result.killed + len(result.survived)
            print(f"[{number}/{len(chosen)}] {result.rule}: {result.killed} of {total} noticed", flush=True)
    return _conclude(tried, time.monotonic() - started)


def _conclude(tried: list[Tried], seconds: float) -> int:
    listed = tomllib.loads(_SURVIVORS.read_text(encoding="utf-8"))["survivors"]
    rules = {result.rule for result in tried}
    reasons = {(item["rule"], item["change"]): item["reason"] for item in listed if item["rule"] in rules}
    survived = {(result.rule, change) for result in tried for change in result.survived}
    killed = sum(result.killed for result in tried)
    percent = 100 * killed / (killed + len(survived))
    for rule, change in sorted(survived - set(reasons)):
        print(f"nobody notices, in {rule}: {change}")
    for rule, change in sorted(set(reasons) - survived):
        print(f"listed as a survivor, but noticed or gone, in {rule}: {change}")
    print(f"{killed} of {killed + len(survived)} changes noticed: {percent:.2f} %, in {seconds:.0f} s")
    return int(survived != set(reasons) or percent < _GOAL_PERCENT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
