"""A page that is served once for a file; each test finds it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ml.api.page.serving import MemorySource, page_app, serving
from tests.ml.api.page.site import ENDED, RUNNING, THREE, Site


@pytest.fixture(scope="module")
def served_site() -> Iterator[Site]:
    source = MemorySource()
    with serving(page_app(source, RUNNING.now)) as url:
        yield Site(url, source)


@pytest.fixture
def site(served_site: Site) -> Site:
    source = served_site.source
    source.experiments_by_name.clear()
    source.issued.clear()
    source.page_size = 50
    source.put(RUNNING, ENDED, THREE)
    return served_site
