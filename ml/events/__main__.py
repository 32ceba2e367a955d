"""Usage: python -m ml.events migrate | rebuild PROJECTION | retain; the database is named by DATABASE_*."""

from __future__ import annotations

import asyncio
import sys
import time

from ml.events.partitions import retain
from ml.events.pool import DatabaseSettings, open_pool
from ml.events.ports import StoreUnavailableError
from ml.events.projections import PROJECTIONS
from ml.events.projector import Projector
from ml.events.schema import SchemaTooNewError, migrate

_MAINTENANCE_SECONDS = 3600.0


async def _main(arguments: list[str]) -> str:
    async with open_pool(DatabaseSettings.from_environment(), statement_seconds=_MAINTENANCE_SECONDS) as pool:
        match arguments:
            case ["migrate"]:
                return f"{await migrate(pool)} steps applied"
            case ["rebuild", name]:
                return f"{await Projector(pool).rebuild(name)} events applied"
            case ["retain"]:
                return f"dropped: {', '.join(await retain(pool, time.time())) or 'nothing'}"
            case _:
                raise ValueError(
                    f"arguments={arguments}: allowed are migrate, retain and rebuild with one of {sorted(PROJECTIONS)}"
                )


def main() -> int:
    """Run one command and return the exit code."""
    try:
        print(asyncio.run(_main(sys.argv[1:])))
    except (ValueError, SchemaTooNewError, StoreUnavailableError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
