"""The cards of a node for the tests: NVIDIA's where this machine has them, else two on paper."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIBRARY: Final = "libnvidia-ml.so.1"
"""NVIDIA's management library, which tells of the cards."""
_CONTROL: Final = Path("/dev/nvidiactl")
_ON_PAPER: Final = Path(__file__).with_name("paper_nvml.c")
_PROGRAM: Final = Path(__file__).with_name("card_program.c")
_FOLDERS: Final = tuple(Path(name) for name in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"))


@dataclass(frozen=True)
class Cards:
    """What a node is told of its cards."""

    real: bool
    count: int
    libraries: Path
    """Folder of this machine with the driver's libraries; for cards on paper, with the one that tells of them."""


def cards_of_this_machine(folder: Path) -> Cards:
    """Return the machine's cards; where it has none, build those on paper into `folder`."""
    if _CONTROL.exists():
        return Cards(real=True, count=len(_ask("--list-gpus").splitlines()), libraries=_driver_folder())
    _compile(_ON_PAPER, folder / LIBRARY, "-shared", "-fPIC")
    return Cards(real=False, count=2, libraries=folder)


def product() -> str:
    """Return the name of the machine's first card, as its driver says it: `NVIDIA H100 80GB HBM3`."""
    return _ask("--query-gpu=name", "--format=csv,noheader").splitlines()[0]


def slices() -> dict[str, int]:
    """Return the profiles of slices that the machine's first card can be cut into: how many there are of each at most.

    The card stays as it is. Empty if it cannot be cut.
    """
    done = subprocess.run(["nvidia-smi", "mig", "-lgip", "-i", "0"], capture_output=True, text=True, check=False)
    return {profile: int(most) for profile, most in re.findall(r"MIG (\S+) +\d+ +\d+/(\d+)", done.stdout)}


def program_for_cards(target: Path) -> Path:
    """Build the program that computes on a card."""
    _compile(_PROGRAM, target)
    return target


def _driver_folder() -> Path:
    found = next((folder / LIBRARY for folder in _FOLDERS if (folder / LIBRARY).exists()), None)
    assert found is not None, f"{_CONTROL} without {LIBRARY} in {', '.join(map(str, _FOLDERS))}"
    return found.resolve().parent


def _ask(*options: str) -> str:
    return subprocess.run(["nvidia-smi", *options], capture_output=True, text=True, check=True).stdout


def _compile(source: Path, target: Path, *options: str) -> None:
    flags = ("-std=gnu17", "-Wall", "-Werror", "-O1", *options)
    subprocess.run(["gcc", *flags, "-o", str(target), str(source), "-ldl"], check=True)
