"""Finds the selectors that may mean a pod without trying all: a stack of thousands of objects is judged in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast

from policies._model import Resource
from policies._paths import UNKNOWN, read
from policies._selecting import pod_labels

_Pair = tuple[str, str, str]


class Selectors:
    """Selectors by namespace and by the first label that they want."""

    def __init__(self, found: Iterable[tuple[str, Any]]) -> None:
        self._by_pair: defaultdict[_Pair, list[Any]] = defaultdict(list)
        self._others: defaultdict[str, list[Any]] = defaultdict(list)
        self._all: defaultdict[str, list[Any]] = defaultdict(list)
        for namespace, selector in found:
            pair = _first_pair(namespace, read(selector, "matchLabels") if isinstance(selector, Mapping) else None)
            (self._by_pair[pair] if pair else self._others[namespace]).append(selector)
            self._all[namespace].append(selector)

    def for_labels(self, namespace: str, labels: Any) -> list[Any]:
        """Return every selector that may mean a pod with these labels."""
        if not _is_known(labels):
            return self._all[namespace]
        pairs = [pair for key, value in _items(labels) if (pair := _pair(namespace, key, value)) in self._by_pair]
        return [*self._others[namespace], *(selector for pair in pairs for selector in self._by_pair[pair])]


class Pods:
    """Labels of pods, by namespace and by each of their labels."""

    def __init__(self, workloads: Iterable[Resource]) -> None:
        self._by_pair: defaultdict[_Pair, list[Any]] = defaultdict(list)
        self._unknown: defaultdict[str, list[Any]] = defaultdict(list)
        self._all: defaultdict[str, list[Any]] = defaultdict(list)
        for workload in workloads:
            labels = pod_labels(workload)
            self._all[workload.namespace].append(labels)
            if not _is_known(labels):
                self._unknown[workload.namespace].append(labels)
            for key, value in _items(labels):
                self._by_pair[_pair(workload.namespace, key, value)].append(labels)

    def in_namespace(self, namespace: str) -> bool:
        """Say whether there is any workload."""
        return bool(self._all[namespace])

    def for_selector(self, namespace: str, wanted: Any) -> list[Any]:
        """Return the labels of every pod that a Service with this selector may mean."""
        pair = _first_pair(namespace, wanted)
        return [*self._by_pair[pair], *self._unknown[namespace]] if pair else self._all[namespace]


def _pair(namespace: str, key: str, value: str) -> _Pair:
    return (namespace, key, value)


def _first_pair(namespace: str, wanted: Any) -> _Pair | None:
    items = _items(wanted)
    return _pair(namespace, *items[0]) if items and _is_known(wanted) else None


def _items(labels: Any) -> list[tuple[str, str]]:
    """Return the labels that are texts; no other value can be selected."""
    table: Mapping[Any, Any] = cast("Mapping[Any, Any]", labels) if isinstance(labels, Mapping) else {}
    return [(key, value) for key, value in table.items() if isinstance(key, str) and isinstance(value, str)]


def _is_known(labels: Any) -> bool:
    table: Mapping[Any, Any] = cast("Mapping[Any, Any]", labels) if isinstance(labels, Mapping) else {}
    return labels is not UNKNOWN and UNKNOWN not in table.values()
