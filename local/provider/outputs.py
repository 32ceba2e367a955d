"""Shapes what the engine keeps about an object: its live state with secrets marked, or a forecast of it."""

from __future__ import annotations

from typing import Any, Final

from local.provider import objects
from local.provider.values import UNKNOWN, Object, Secret, as_list, as_object, mark_secrets, pluck

_COMPUTED_METADATA: Final = ("creationTimestamp", "resourceVersion", "uid")
_COMPUTED_SPEC: Final = {
    ("", "Service"): ("clusterIP", "clusterIPs", "healthCheckNodePort"),
    ("", "PersistentVolumeClaim"): ("volumeName",),
    ("", "Pod"): ("nodeName",),
    ("batch", "Job"): ("selector",),
}


def of_live(live: Object, inputs: Object) -> Object:
    """Return the outputs of an existing object; `inputs` say what is secret."""
    metadata = {key: value for key, value in as_object(live.get("metadata")).items() if key != "managedFields"}
    return with_secrets({**live, "metadata": metadata}, inputs)


def with_secrets(values: Object, inputs: Object) -> Object:
    """Return `values` with secrets marked as in `inputs`; the data of a Secret always is one."""
    marked = as_object(mark_secrets(values, inputs))
    if objects.is_secret(values):
        for key in ("data", "stringData"):
            if marked.get(key) is not None and not isinstance(marked[key], Secret):
                marked[key] = Secret(marked[key])
    return marked


def echo(inputs: Object) -> Object:
    """Return the forecast for an object about which the API server cannot be asked."""
    return {**with_secrets(inputs, inputs), "status": UNKNOWN}


def forecast(dry_run: Object, inputs: Object) -> Object:
    """Return the forecast for a new object from the API server's dry run.

    Values that a dry run makes up (uid, addresses, status) are unknown until the object is really made.
    """
    metadata = {**as_object(dry_run.get("metadata")), **dict.fromkeys(_COMPUTED_METADATA, UNKNOWN)}
    for key in ("managedFields", "generation"):
        metadata.pop(key, None)
    predicted: Object = {**dry_run, "metadata": metadata, "status": UNKNOWN}
    spec = as_object(dry_run.get("spec"))
    if spec:
        predicted["spec"] = _forecast_spec(dry_run, spec, as_object(inputs.get("spec")))
    return with_secrets(predicted, inputs)


def _forecast_spec(dry_run: Object, spec: Object, wanted: Object) -> Object:
    key = (objects.group(dry_run), objects.kind(dry_run))
    unknown = {field: UNKNOWN for field in _COMPUTED_SPEC.get(key, ()) if field not in wanted}
    spec = {**spec, **unknown}
    if key == ("batch", "Job"):
        spec["template"] = wanted.get("template")  # the dry run labels it with a uid that nothing will ever have
    if key == ("", "Service") and spec.get("type") in ("NodePort", "LoadBalancer"):
        spec["ports"] = _ports_without_node_ports(as_list(spec.get("ports")), as_list(wanted.get("ports")))
    return spec


def _ports_without_node_ports(ports: list[Any], wanted: list[Any]) -> list[Any]:
    given = {pluck(port, "port"): pluck(port, "nodePort") for port in wanted}
    return [
        {**as_object(port), "nodePort": given[pluck(port, "port")] or UNKNOWN} if pluck(port, "port") in given else port
        for port in ports
    ]
