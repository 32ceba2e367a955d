from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from local.images import debian

_AS_MMDEBSTRAP_DOES = 'print join "\n", shellwords($ARGV[0])'


@pytest.mark.skipif(shutil.which("perl") is None, reason="there is no Perl, in which mmdebstrap is written")
def test_sources_are_copied_to_their_folder_when_its_path_has_spaces() -> None:
    hook = debian.hooks(Path("/srv/a person's cache/work"))[0].removeprefix("--customize-hook=")
    split = ["perl", "-MText::ParseWords=shellwords", "-e", _AS_MMDEBSTRAP_DOES, hook]
    words = subprocess.run(split, capture_output=True, text=True, check=True).stdout.splitlines()
    assert words == ["copy-out", "/etc/apt/sources.list", "/srv/a person's cache/work"]
