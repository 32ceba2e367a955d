"""What `mlp experiment create` asks the API for: from a file, from options, from answers, in this order of weight."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import typer
import yaml

from ml.cli.errors import UserError
from ml.contracts import DEFAULT_CANDIDATE_SLOT, STABLE_SLOT
from ml.reporting.experiment.words import duration

_DAY_SECONDS: Final = 86_400
_MINUTE_SECONDS: Final = 60
_LARGEST_FILE_BYTES: Final = 1_048_576
_REMEDY: Final = "see `mlp experiment create --help`"

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options say; None where an option was left out."""

    name: str | None = None
    model: str | None = None
    candidates: tuple[str, ...] = ()
    metric: str | None = None
    baseline: float | None = None
    effect: float | None = None
    standard_deviation: float | None = None
    better: str | None = None
    days: float | None = None
    users_per_day: int | None = None
    ramp_minutes: float | None = None
    open_ended: bool = False
    approval: bool = False
    shadow: bool = False


def checked_request(asked: Asked, file: Path | None, *, interactive: bool) -> Document:
    """Return name and spec, checked as far as that goes without the platform.

    Args:
        asked: the options; they win over the file.
        file: an ABTest object or a spec; `-` is standard input.
        interactive: ask for what is missing.

    Raises:
        UserError: the file cannot be read, something is missing or out of range.
    """
    name, spec = _from_file(file) if file is not None else ("", {})
    _apply(asked, spec)
    name = asked.name or name
    if interactive and file is None:
        name = _complete(name, spec)
    missing = [] if name else ["name"]
    primary = _section(spec, "primary")
    missing += [] if spec.get("model") else ["--model"]
    options = {"name": "--metric", "baseline": "--baseline", "minimumEffect": "--effect"}
    missing += [option for field, option in options.items() if primary.get(field) in (None, "")]
    if missing:
        raise UserError(f"missing: {', '.join(missing)}", f"give them, or a file with -f; {_REMEDY}")
    _check(name, spec)
    return {"name": name, "spec": spec}


def created_lines(made: Document) -> list[str]:
    """Return what the API answered to a request that it took."""
    plan = cast("Document", made.get("plan") or {})
    lines = [f"experiment {made.get('name')} on {made.get('model')} is created"]
    if plan.get("plannedPerArm"):
        needed = plan.get("neededSeconds")
        time = f", in about {duration(needed)}" if needed else ""
        lines.append(
            f"planned: {plan['plannedPerArm']:,} units per arm{time}; at most {duration(plan['durationSeconds'])}"
        )
    if made.get("message"):
        lines.append(str(made["message"]))
    return [*lines, f"see `mlp experiment show {made.get('name')}`"]


def _check(name: str, spec: Document) -> None:
    """Find what is wrong before anything is sent; the API checks again, and what only the platform knows."""
    from ml.contracts.abtest import read_spec
    from ml.contracts.experiment_names import name_problem
    from ml.contracts.problems import ProblemsError

    if problem := name_problem(name):
        raise UserError(str(problem), "give the experiment another name")
    try:
        read_spec(spec)
    except ProblemsError as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise UserError(f"the spec is not valid\n{lines}", "correct what is named and try again") from None


def _from_file(file: Path) -> tuple[str, Document]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}", "name a YAML or JSON file") from None
    if len(text.encode()) > _LARGEST_FILE_BYTES:
        raise UserError(f"{file} is larger than {_LARGEST_FILE_BYTES} bytes", "name a smaller file")
    try:
        document: object = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}", "correct the file") from None
    except RecursionError:
        raise UserError(f"{file} is nested too deeply: allowed is an ABTest or its spec", "correct the file") from None
    if not isinstance(document, dict):
        raise UserError(f"{file} holds {type(document).__name__}: allowed is an object", "name an ABTest or its spec")
    content = cast("Document", document)
    if "spec" not in content:
        return "", content
    kind = content.get("kind", "ABTest")
    if kind != "ABTest":
        raise UserError(f"{file} holds a {kind}: allowed is an ABTest", "name an ABTest or its spec")
    metadata = _section(content, "metadata", of="")
    return str(content.get("name") or metadata.get("name") or ""), _section(content, "spec", of="")


def _section(document: Document, name: str, *, of: str = "spec.") -> Document:
    """Return a part of a document that has parts itself; empty if it is left out."""
    value: object = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        from ml.contracts.problems import show

        raise UserError(f"{of}{name}={show(value)}: allowed is an object", "correct what is named and try again")
    return cast("Document", value)


def _seconds(option: str, number: float, unit_seconds: int) -> int:
    if not math.isfinite(number):
        raise UserError(f"{option}={number}: allowed is a finite number", _REMEDY)
    return round(number * unit_seconds)


def _apply(asked: Asked, spec: Document) -> None:
    """Write what the options say over the spec."""
    if asked.model is not None:
        spec["model"] = asked.model
    if asked.candidates:
        spec["arms"] = _arms(asked.candidates)
    primary = {
        "name": asked.metric,
        "baseline": asked.baseline,
        "minimumEffect": asked.effect,
        "standardDeviation": asked.standard_deviation,
        "better": asked.better,
    }
    given = {key: value for key, value in primary.items() if value is not None}
    if given:
        spec["primary"] = {**_section(spec, "primary"), **given}
    if asked.days is not None:
        spec["durationSeconds"] = _seconds("--days", asked.days, _DAY_SECONDS)
    if asked.users_per_day is not None:
        spec["expectedUnitsPerDay"] = asked.users_per_day
    if asked.ramp_minutes is not None:
        ramp_seconds = _seconds("--ramp-minutes", asked.ramp_minutes, _MINUTE_SECONDS)
        spec["ramp"] = {**_section(spec, "ramp"), "durationSeconds": ramp_seconds}
    if asked.open_ended:
        spec["mode"] = "openEnded"
    if asked.approval:
        spec["approval"] = {**_section(spec, "approval"), "required": True}
    if asked.shadow:
        spec["shadow"] = {**_section(spec, "shadow"), "enabled": True}


def _arms(candidates: tuple[str, ...]) -> list[Document]:
    """Return all arms; candidates without a percentage share equally with control."""
    arms: list[Document] = []
    equal = round(100 / (len(candidates) + 1), 1)
    for text in candidates:
        slot, separator, percent = text.partition("=")
        try:
            share = float(percent) if separator else equal
        except ValueError:
            raise UserError(f"--candidate {text!r}: allowed is SLOT or SLOT=PERCENT", _REMEDY) from None
        arms.append({"slot": slot.strip(), "weightPercent": share})
    rest = round(100 - sum(arm["weightPercent"] for arm in arms), 6)
    return [{"slot": STABLE_SLOT, "weightPercent": rest}, *arms]


def _complete(name: str, spec: Document) -> str:
    """Ask for what options left open; returns the name."""
    primary = cast("Document", spec.setdefault("primary", {}))
    name = name or cast("str", typer.prompt("Name of the experiment"))
    if not spec.get("model"):
        spec["model"] = typer.prompt("Model")
    if "arms" not in spec:
        spec["arms"] = _arms((cast("str", typer.prompt("Candidate slot", default=DEFAULT_CANDIDATE_SLOT)),))
    if not primary.get("name"):
        primary["name"] = typer.prompt("Metric that decides (as applications report it)")
    if "better" not in primary:
        up = typer.confirm(f"Is more {primary['name']} better?", default=True)
        primary["better"] = "increase" if up else "decrease"
    if primary.get("baseline") is None:
        primary["baseline"] = typer.prompt(f"Expected {primary['name']} under control", type=float)
    if primary.get("minimumEffect") is None:
        primary["minimumEffect"] = typer.prompt("Smallest absolute change worth finding", type=float)
    if primary.get("standardDeviation") is None and not 0 < float(primary["baseline"]) < 1:
        primary["standardDeviation"] = typer.prompt("Standard deviation of a user", type=float)
    if "expectedUnitsPerDay" not in spec:
        expected = cast("int", typer.prompt("Users of the model per day (0: to be measured)", default=0, type=int))
        spec |= {"expectedUnitsPerDay": expected} if expected else {}
    if "durationSeconds" not in spec:
        days = cast("float", typer.prompt("Longest duration in days", default=14.0, type=float))
        spec["durationSeconds"] = _seconds("longest duration in days", days, _DAY_SECONDS)
    return name
