"""Makes the container images of the embedded cluster and brings them into its node.

`ensure` makes what the cache lacks, `plant` gives a new node's containerd everything before it starts, `load` brings
into a running node what it still lacks.
"""

from __future__ import annotations

from local.images.build import ensure
from local.images.errors import ImageError
from local.images.load import load
from local.images.seed import plant

__all__ = ["ImageError", "ensure", "load", "plant"]
