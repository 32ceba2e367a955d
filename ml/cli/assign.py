"""`mlp assign`: which version of its model a slot serves, said in the registry, where the slots look for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlencode

from ml.cli.components import check_slot, find_model
from ml.cli.errors import UserError
from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.tracking import MLFLOW_API, tracking_server

_MOST_VERSIONS: Final = 1_000
_SEEN: Final = "`mlp status` lists models, slots and versions"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What the registry says of a slot now."""

    model: str
    slot: str
    alias: str
    version: str
    before: str | None
    """Version that the alias pointed at; None if at none."""

    def __str__(self) -> str:
        was = "it had none" if self.before is None else f"it was {self.before}"
        return f"{self.model}/{self.slot}: version {self.version}, {was} (alias {self.alias})"


async def assign(kubectl: Kubectl, outputs: StackOutputs, target: str, version: str) -> Assignment:
    """Point the alias that a slot follows at a version of its model.

    Args:
        kubectl: the cluster.
        outputs: what the stack tells about itself.
        target: MODEL/SLOT.
        version: number of a registered version.

    Raises:
        UserError: no such model, slot or version, or no answer; nothing has been changed then.
    """
    name, separator, slot = target.partition("/")
    if not separator:
        raise UserError(f"MODEL/SLOT={target!r}: allowed is a model and one of its slots, as in {name}/stable", _SEEN)
    model_name, model = find_model(outputs, name)
    alias = model.slots[check_slot(model, slot)].alias
    async with tracking_server(kubectl, outputs) as mlflow:
        await _check_version(mlflow, model_name, version)
        before = await _version_of(mlflow, model_name, alias)
        body = {"name": model_name, "alias": alias, "version": version}
        await mlflow.ask_well("POST", f"{MLFLOW_API}/registered-models/alias", json=body)
    return Assignment(model=model_name, slot=slot, alias=alias, version=version, before=before)


async def _check_version(mlflow: Endpoint, model: str, version: str) -> None:
    query = urlencode({"filter": f"name='{model}'", "max_results": _MOST_VERSIONS})
    found = await mlflow.ask_well("GET", f"{MLFLOW_API}/model-versions/search?{query}")
    entries = cast("list[dict[str, Any]]", found.json().get("model_versions", []))
    versions = sorted((str(entry["version"]) for entry in entries), key=int)
    if version not in versions:
        allowed = f"one of {', '.join(versions)}" if versions else f"none, {model} has no version yet"
        raise UserError(f"VERSION={version!r}: allowed is {allowed}", "`mlp train` registers versions")


async def _version_of(mlflow: Endpoint, model: str, alias: str) -> str | None:
    # The model, and not the alias: MLflow calls one that is not set an invalid parameter.
    found = await mlflow.ask_well("GET", f"{MLFLOW_API}/registered-models/get?name={model}")
    aliases = cast("list[dict[str, Any]]", found.json()["registered_model"].get("aliases", []))
    return next((str(entry["version"]) for entry in aliases if entry["alias"] == alias), None)
