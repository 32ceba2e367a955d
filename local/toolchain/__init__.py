"""The tools of the embedded cluster: `ensure` installs what is missing, `preflight` says what would be in the way."""

from local.toolchain.catalog import CLUSTER_TOOLS
from local.toolchain.checks import preflight, require_root
from local.toolchain.errors import PreflightError, ToolchainError
from local.toolchain.installer import ensure
from local.toolchain.registries import require_for_images
from local.toolchain.toolchain import Toolchain

__all__ = [
    "CLUSTER_TOOLS",
    "PreflightError",
    "Toolchain",
    "ToolchainError",
    "ensure",
    "preflight",
    "require_for_images",
    "require_root",
]
