"""What `mlp experiment create` asks the API for: from a file, from options, from answers, in this order of weight."""

from __future__ import annotations

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
    primary = cast("Document", spec.get("primary") or {})
    missing += [] if spec.get("model") else ["--model"]
    options = {"name": "--metric", "baseline": "--baseline", "minimumEffect": "--effect"}
    missing += [option for field, option in options.items() if primary.get(field) in (None, "")]
    if missing:
        raise UserError(f"missing: {', '.join(missing)}", f"give them, or a file with -f; {_REMEDY}")
    _check(spec)
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


def _check(spec: Document) -> None:
    """Find what is wrong before anything is sent; the API checks again, and what only the platform knows."""
    from ml.contracts.abtest import read_spec
    from ml.contracts.problems import ProblemsError

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
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}", "correct the file") from None
    if not isinstance(document, dict):
        raise UserError(f"{file} holds {type(document).__name__}: allowed is an object", "name an ABTest or its spec")
    content = cast("Document", document)
    if "spec" not in content:
        return "", content
    kind = content.get("kind", "ABTest")
    if kind != "ABTest" or not isinstance(content["spec"], dict):
        raise UserError(f"{file} holds a {kind}: allowed is an ABTest with a spec", "name an ABTest or its spec")
    metadata = cast("Document", content.get("metadata") or {})
    return str(content.get("name") or metadata.get("name") or ""), cast("Document", content["spec"])


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
        spec["primary"] = {**cast("Document", spec.get("primary") or {}), **given}
    if asked.days is not None:
        spec["durationSeconds"] = round(asked.days * _DAY_SECONDS)
    if asked.users_per_day is not None:
        spec["expectedUnitsPerDay"] = asked.users_per_day
    if asked.ramp_minutes is not None:
        spec["ramp"] = {**cast("Document", spec.get("ramp") or {}), "durationSeconds": round(asked.ramp_minutes * 60)}
    if asked.open_ended:
        spec["mode"] = "openEnded"
    if asked.approval:
        spec["approval"] = {**cast("Document", spec.get("approval") or {}), "required": True}
    if asked.shadow:
        spec["shadow"] = {**cast("Document", spec.get("shadow") or {}), "enabled": True}


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
        spec["durationSeconds"] = round(
            _DAY_SECONDS * cast("float", typer.prompt("Longest duration in days", default=14.0, type=float))
        )
    return name
