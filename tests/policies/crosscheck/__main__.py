"""`python -m tests.policies.crosscheck CHECKOV`: holds our rules against checkov's checks, on the same manifests.

CHECKOV is the program in an environment of its own: `python -m venv DIR && DIR/bin/pip install checkov==VERSION`, with
the version of checkov.toml. Exit code 1 if it finds what neither a rule of ours finds nor checkov.toml explains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.policies.crosscheck import content, measured, open_questions

_EXIT_USAGE = 2


def main(arguments: list[str]) -> int:
    """Measure and report; return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print("usage: python -m tests.policies.crosscheck CHECKOV; see its description", file=sys.stderr)
        return _EXIT_USAGE
    recorded = content()["version"]
    version, findings = measured(Path(arguments[0]))
    if version != recorded:
        print(f"note: this is checkov {version}; checkov.toml was written for {recorded}")
    checks = {finding.check for finding in findings}
    questions = open_questions(findings)
    print("\n".join(questions))
    print(f"checkov {version}: {len(findings)} findings of {len(checks)} checks; {len(questions)} without an answer")
    return int(bool(questions))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
