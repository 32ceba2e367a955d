"""The provider resource's configuration: what is offered, what is refused, and when a change means another cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from local.provider import kubeconfig
from local.provider.equality import is_empty
from local.provider.kubeconfig import KubeconfigError
from local.provider.replacement import Mutability
from local.provider.values import Object, Unknown

_TEXTS: Final = ("kubeconfig", "context", "cluster", "namespace", "clusterIdentifier")
_SWITCHES: Final = (
    "deleteUnreachable",
    "enableConfigMapMutable",
    "enablePatchForce",
    "enableSecretMutable",
    "enableServerSideApply",
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
)
_ALLOWED: Final = (*_TEXTS, *_SWITCHES)


@dataclass(frozen=True, kw_only=True)
class ProviderConfig:
    """What the program asked of the provider."""

    kubeconfig: str | None = None
    """Path or content; None where the program gives none."""
    context: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    force: bool = False
    """Take over fields that another manager owns instead of reporting a conflict."""
    forget_unreachable: bool = False
    """Let a refresh or a destroy drop objects from the state when their cluster does not answer."""
    mutability: Mutability = field(default_factory=Mutability)


def problems(values: Object) -> list[tuple[str, str]]:
    """Return pairs of key and reason for everything in a configuration that the stand-in cannot do."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if key == "version" or is_empty(value) or isinstance(value, Unknown):
            continue
        if key not in _ALLOWED:
            found.append((key, f"the stand-in does not offer it; allowed: {', '.join(_ALLOWED)}"))
        elif key in _SWITCHES and _switch(value) is None:
            found.append((key, f"{value!r}: allowed are true and false"))
    if _switch(values.get("enableServerSideApply", True)) is False:
        found.append(("enableServerSideApply", "false: the stand-in knows only server-side apply"))
    return found


def parse(values: Object) -> ProviderConfig:
    """Return the configuration; `values` have no `problems`."""
    texts = {key: str(values[key]) for key in _TEXTS if not is_empty(values.get(key))}
    switches = {key: _switch(values.get(key)) is True for key in _SWITCHES}
    return ProviderConfig(
        kubeconfig=texts.get("kubeconfig"),
        context=texts.get("context"),
        cluster=texts.get("cluster"),
        namespace=texts.get("namespace"),
        force=switches["enablePatchForce"],
        forget_unreachable=switches["deleteUnreachable"],
        mutability=Mutability(config_map=switches["enableConfigMapMutable"], secret=switches["enableSecretMutable"]),
    )


def changed_keys(old: Object, new: Object) -> list[str]:
    """Return the keys that differ between two configurations."""
    return sorted(key for key in {*old, *new} - {"version"} if old.get(key) != new.get(key))


def replacing_keys(old: Object, new: Object) -> list[str]:
    """Return the keys whose change means another cluster, so that everything in it has to be made anew.

    A `clusterIdentifier` decides alone; without one, another server address is another cluster.
    """
    identifiers = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    if not all(is_empty(identifier) for identifier in identifiers):
        return ["clusterIdentifier"] if identifiers[0] != identifiers[1] else []
    servers = _server(old), _server(new)
    return ["kubeconfig"] if None not in servers and servers[0] != servers[1] else []


def _server(values: Object) -> str | None:
    config = parse({key: value for key, value in values.items() if not isinstance(value, Unknown)})
    if config.kubeconfig is None:
        return None
    try:
        return kubeconfig.load(config.kubeconfig, context=config.context, cluster=config.cluster).server
    except KubeconfigError:
        return None


def _switch(value: Any) -> bool | None:
    """Return a boolean, which the engine hands over as text."""
    return {"true": True, "false": False}.get(str(value).lower())
