"""The base of every component: its token, the options of its children, and that its outputs are registered once."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components._naming import type_token


class PlatformComponent(pulumi.ComponentResource):
    """A noun of the platform; subclasses take `(name, args, opts)` and end by calling `finish`."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None) -> None:
        # No properties are passed: a component's inputs are stored in the state as they are.
        super().__init__(type_token(type(self)), name, {}, opts)
        self._name = name
        self._finished = False

    def child(
        self,
        *,
        protect: bool | None = None,
        depends_on: Sequence[pulumi.Resource] | None = None,
    ) -> pulumi.ResourceOptions:
        """Return the options of a child; the caller's options reach it through its parent only."""
        return pulumi.ResourceOptions(parent=self, protect=protect, depends_on=depends_on)

    def finish(self, **outputs: pulumi.Input[object]) -> None:
        """Register the outputs; the last statement of every constructor.

        Raises:
            RuntimeError: it was called before.
        """
        if self._finished:
            raise RuntimeError(f"{type(self).__name__} {self._name!r}: outputs are registered once")
        self._finished = True
        self.register_outputs(dict(outputs))
