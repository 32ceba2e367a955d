"""How large a GraphQL query may be: depth and cost, counted before anything is done.

Strawberry's own depth limit expands fragments again and again, which a short query can make exponential; here each
fragment is weighed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from graphql.language import DocumentNode
from strawberry.extensions import SchemaExtension

MAX_DEPTH: Final = 10
MAX_COST: Final = 5000
MAX_TOKENS: Final = 1000
MAX_ALIASES: Final = 20
MAX_PAGE: Final = 100
_SIZE_ARGUMENTS: Final = ("first", "points")
_DEFAULT_SIZES: Final = {"experiments": 20, "decisions": 20, "models": 10, "pipelines": 20, "commands": 20}
"""How many items a list has when the query does not say: what the schema's defaults are, or what is usual."""
_EXPENSIVE: Final = {"results": 50, "history": 20}
"""Fields that need more than a row."""


@dataclass(frozen=True)
class Weight:
    """How large a part of a query is."""

    depth: int
    cost: int


_TOO_MUCH: Final = Weight(MAX_DEPTH + 1, MAX_COST + 1)


class SizeLimit(SchemaExtension):
    """Refuses queries that are too deep or too costly, before rules see them that take a fragment apart each time."""

    def on_validate(self) -> Iterator[None]:
        """Weigh every operation; what is too large is not validated any further."""
        document = self.execution_context.graphql_document
        problems = size_problems(document) if document else []
        if problems:
            self.execution_context.pre_execution_errors = problems[:1]
        yield


def size_problems(document: DocumentNode) -> list[GraphQLError]:
    """Return what is too large in a document: its operations, and fragments that nobody uses as well."""
    scale = _Scale(document)
    problems: list[GraphQLError] = []
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        weight = scale.weigh(definition.selection_set)
        if weight.depth > MAX_DEPTH:
            problems.append(GraphQLError(f"the query is too deep; allowed are {MAX_DEPTH} levels", definition))
        if weight.cost > MAX_COST:
            allowed = f"allowed are {MAX_COST} fields, each as often as the lists around it are long"
            problems.append(GraphQLError(f"the query costs too much; {allowed}", definition))
    return problems


class _Scale:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._known: dict[str, Weight] = {}
        self._open: set[str] = set()

    def weigh(self, selection: SelectionSetNode | None) -> Weight:
        """Return depth and cost of a selection; of one that contains itself: too much."""
        depth = cost = 0
        for item in selection.selections if selection else ():
            if isinstance(item, FieldNode):
                weight = self._field(item)
            elif isinstance(item, InlineFragmentNode):
                weight = self.weigh(item.selection_set)
            elif isinstance(item, FragmentSpreadNode):
                weight = self._fragment(item.name.value)
            else:
                continue
            depth, cost = max(depth, weight.depth), min(cost + weight.cost, MAX_COST + 1)
        return Weight(depth, cost)

    def _field(self, field: FieldNode) -> Weight:
        if field.name.value.startswith("__"):
            # Introspection may be deep, but graphql-core's own limit for it takes fragments apart again and again.
            return Weight(1, self.weigh(field.selection_set).cost + 1)
        inner = self.weigh(field.selection_set)
        cost = (_EXPENSIVE.get(field.name.value, 1) + inner.cost) * _size(field)
        return Weight(inner.depth + 1, min(cost, MAX_COST + 1))

    def _fragment(self, name: str) -> Weight:
        if name in self._open:
            return _TOO_MUCH
        if name not in self._known:
            fragment = self._fragments.get(name)
            if fragment is None:
                return Weight(0, 1)  # another rule says so
            self._open.add(name)
            inner = self.weigh(fragment.selection_set)
            # Taking a fragment apart is work, too, even where nothing is in it.
            self._known[name] = Weight(inner.depth, min(inner.cost + 1, MAX_COST + 1))
            self._open.discard(name)
        return self._known[name]


def _size(field: FieldNode) -> int:
    for argument in field.arguments:
        if argument.name.value in _SIZE_ARGUMENTS:
            value = argument.value
            # Variables are not known yet: they count as the most that is allowed.
            digits = value.value if isinstance(value, IntValueNode) else ""
            return min(MAX_PAGE, max(1, int(digits))) if digits and len(digits) < 10 else MAX_PAGE
    return _DEFAULT_SIZES.get(field.name.value, 1)
