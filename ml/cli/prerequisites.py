"""`mlp prerequisites`: what a stack expects to find in its cluster, and whether it is there.

Asked before anything is created. Reads definitions and Deployments; changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.kubectl import Kubectl
from ml.contracts.prerequisites import PREREQUISITES, PRESENT, Prerequisite

_SETTING: Final = "prerequisites"
_TIMEOUT_SECONDS: Final = 60.0
_DEFINITIONS: Final = (
    '{range .items[*]}{.metadata.name}{" "}{range .spec.versions[?(@.served==true)]}{.name}{","}{end}{" "}'
    '{.status.conditions[?(@.type=="Established")].status}{"\\n"}{end}'
)
_IMAGES: Final = '{range .items[*]}{range .spec.template.spec.containers[*]}{.image}{"\\n"}{end}{end}'
_VERSION: Final = re.compile(r":v?(\d+)\.(\d+)[^:/]*$")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a stack expects, and what is wrong with it."""

    name: str
    """As in the setting."""
    title: str
    needed: str
    problems: tuple[str, ...]
    """None if it is as it must be."""

    def as_data(self) -> dict[str, Any]:
        """Return it for programs."""
        return {**asdict(self), "met": not self.problems}


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a stack expects to find, and where."""

    names: tuple[str, ...]
    context: str | None
    """Kubeconfig context that the configuration names."""
    kubeconfig: str | None
    """File that the configuration names."""

    def connection(self, ambient: Connection) -> Connection:
        """Return the way to the cluster that the stack will use; what was asked for on the command line wins."""
        added = {} if self.kubeconfig is None else {"KUBECONFIG": self.kubeconfig}
        return replace(ambient, context=ambient.context or self.context, environment={**ambient.environment, **added})


def expected(project: Path, stack: str) -> Expectation:
    """Return what a stack expects to find, by its committed configuration.

    Everything else that may be wrong with the configuration is the program's to refuse.

    Raises:
        UserError: the stack has no configuration, or names a prerequisite that there is not.
    """
    file = project / f"Pulumi.{stack}.yaml"
    try:
        content: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"there is no stack `{stack}`: {file} cannot be read", "name one of Pulumi.*.yaml") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {error}", "repair the file") from None
    settings = {key.partition(":")[2]: value for key, value in _table(_table(content).get("config")).items()}
    states = _table(settings.get(_SETTING))
    unknown = sorted(set(states) - {*PREREQUISITES, "externalDnsProvider"})
    if unknown:
        raise UserError(
            f"{file} names unknown prerequisites: {', '.join(unknown)}", f"known are {', '.join(PREREQUISITES)}"
        )
    return Expectation(
        names=tuple(name for name, known in PREREQUISITES.items() if states.get(name, known.default) == PRESENT),
        context=_text(settings.get("context")),
        kubeconfig=_text(settings.get("kubeconfig")),
    )


async def check(kubectl: Kubectl, names: Sequence[str]) -> list[Finding]:
    """Look for everything at once.

    Raises:
        UserError: the cluster does not answer, or does not let definitions and Deployments be read.
    """
    served = await _served(kubectl)
    return [
        Finding(
            name=name,
            title=PREREQUISITES[name].title,
            needed=PREREQUISITES[name].version,
            problems=tuple(await _problems(kubectl, PREREQUISITES[name], served)),
        )
        for name in names
    ]


def refusal(stack: str, findings: Sequence[Finding]) -> UserError | None:
    """Return one error that names everything that is not met; None if there is nothing."""
    unmet = [finding for finding in findings if finding.problems]
    if not unmet:
        return None
    lines = [f"  - {item.title} {item.needed} or later: {'; '.join(item.problems)}" for item in unmet]
    count = f"{len(unmet)} prerequisite{'s' if len(unmet) > 1 else ''}"
    names = ", ".join(f"{item.name}: install" for item in unmet)
    return UserError(
        f"{count} of stack `{stack}` not met in the cluster, nothing has been changed:\n" + "\n".join(lines),
        f"install what is missing in the cluster, or let the stack do it: `mlplatform:{_SETTING}: {{{names}}}`",
    )


async def _served(kubectl: Kubectl) -> dict[str, set[str]]:
    """Return the versions in which the cluster serves every kind that somebody defined."""
    text = await kubectl.run(
        "get", "customresourcedefinitions", f"--output=jsonpath={_DEFINITIONS}", timeout_seconds=_TIMEOUT_SECONDS
    )
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        name, versions, established = (*line.split(" "), "", "")[:3]
        if established == "True":
            found[name] = set(versions.split(",")) - {""}
    return found


async def _problems(kubectl: Kubectl, wanted: Prerequisite, served: Mapping[str, set[str]]) -> list[str]:
    problems: list[str] = []
    missing = [name for name in wanted.definitions if name not in served]
    if missing:
        problems.append(f"the cluster does not know {', '.join(missing)}")
    for name, version in wanted.definitions.items():
        if name in served and version not in served[name]:
            others = ", ".join(sorted(served[name])) or "no version"
            problems.append(f"{name} is served in {others}, needed is {version}")
    images = await _images(kubectl, wanted.operator)
    if not images and not wanted.definitions:
        problems.append(f"no Deployment has the labels {wanted.operator}")
    # A managed one has no Deployment here; an image that says no version is left to who chose it.
    problems += [f"{image} runs" for image in images if _is_older(image, wanted.version)]
    return problems


async def _images(kubectl: Kubectl, selector: str) -> list[str]:
    text = await kubectl.run(
        "get",
        "deployments",
        "--all-namespaces",
        f"--selector={selector}",
        f"--output=jsonpath={_IMAGES}",
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    return text.split()


def _is_older(image: str, needed: str) -> bool:
    found = _VERSION.search(image.partition("@")[0])
    return found is not None and (int(found[1]), int(found[2])) < tuple(map(int, needed.split(".")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None  # a kubeconfig's content is stored encrypted: not a text here


def _table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
