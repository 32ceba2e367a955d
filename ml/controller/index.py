"""Experiments by the event store's own list, for those whose `ABTest` is gone: `observer.ExperimentIndex` for real."""

from __future__ import annotations

from ml.events.queries import Queries

_PAGE_SIZE = 200


class ProjectedIndex:
    """Reads the projection, which may lag behind the streams by a moment."""

    def __init__(self, queries: Queries, namespace: str) -> None:
        self._queries = queries
        self._namespace = namespace

    async def unfinished(self) -> list[str]:
        """Return the ids of experiments of this namespace that were admitted and have not ended.

        Raises:
            StoreUnavailableError: no answer.
        """
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._queries.list_experiments(active=True, limit=_PAGE_SIZE, cursor=cursor, documents=False)
            found += [record.id for record in page.items if record.namespace == self._namespace]
            cursor = page.next_cursor
            if not cursor:
                return found
