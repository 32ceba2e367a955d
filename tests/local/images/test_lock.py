"""Names in lock files."""

from __future__ import annotations

from local.images.lock import locked_packages


def test_only_pinned_packages_count_when_a_lock_is_read() -> None:
    text = "aiohttp==3.1 \\\n    --hash=sha256:00\n# note==1\nzope.interface==7.0 \\\n    --hash=sha256:22\n"

    assert locked_packages(text) == ["aiohttp", "zope.interface"]
