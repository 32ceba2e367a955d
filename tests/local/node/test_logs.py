from __future__ import annotations

import os
from pathlib import Path

from local.node import logs


def test_log_is_cut_and_its_past_kept_when_it_grows_too_large(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"x" * 101)
    logs.bound(tmp_path, largest_bytes=100)
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert path.read_bytes() == b"after"
    assert (tmp_path / "etcd.log.1").read_bytes() == b"x" * 101


def test_log_is_left_alone_when_it_is_small(tmp_path: Path) -> None:
    (tmp_path / "etcd.log").write_text("x" * 100)
    logs.bound(tmp_path, largest_bytes=100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etcd.log"]


def test_tail_returns_the_last_lines_when_there_are_more(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join(str(number) for number in range(10_000)))
    assert logs.tail(path, 2) == "9998\n9999"
    assert logs.tail(tmp_path / "missing.log", 2) == ""
