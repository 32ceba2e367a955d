"""What one run of the engine has told us about objects; it lets the right one be deleted in a replacement."""

from __future__ import annotations

from local.provider import objects
from local.provider.values import Object


class RunMemory:
    """Knows objects of this run by their uid. A replacement may bear the same name, but never the same uid."""

    def __init__(self) -> None:
        self._old: set[str] = set()
        self._adopted: set[str] = set()

    def note_old(self, state: Object) -> None:
        """Remember the object that a resource has in the stack's state."""
        self._old.add(objects.uid(state))

    def is_old(self, live: Object) -> bool:
        """Tell whether an object is one that a resource already has: a new one cannot be made in its place."""
        return objects.uid(live) in self._old

    def note_adopted(self, live: Object) -> None:
        """Remember an object that was found when it was to be made."""
        self._adopted.add(objects.uid(live))

    def was_adopted(self, state: Object) -> bool:
        """Tell whether the object to be deleted is one that was taken for the new object of a replacement."""
        return bool(objects.uid(state)) and objects.uid(state) in self._adopted
