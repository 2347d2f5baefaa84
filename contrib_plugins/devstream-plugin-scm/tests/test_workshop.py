"""Folders that `workshop` works in: those of processes that died are removed, those of others are let alone."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from devstream_plugin_scm.workshop import own_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that temporary folders are made in."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(temporary: Path, name: str, *files: str, age: float = 0) -> Path:
    """Make a folder as a process leaves it that was killed ``age`` seconds ago."""
    folder = temporary / f"devstream-scm-{name}"
    (folder / "work.git").mkdir(parents=True)
    for file in files:
        (folder / file).write_text("secret")
    at = time.time() - age
    os.utime(folder, (at, at))
    return folder


def test_what_dead_processes_left_is_removed(temporary: Path) -> None:
    left(temporary, "dead", "lock", "credentials", "work.git/HEAD")
    left(temporary, "died-before-it-had-a-lock", "lock.new", age=7200)
    with own_folder() as folder:
        assert list(temporary.iterdir()) == [folder]
    assert list(temporary.iterdir()) == []


def test_what_may_be_in_use_is_let_alone(temporary: Path) -> None:
    starting = left(temporary, "starting", "lock.new")
    working = left(temporary, "working", "lock", age=7200)
    linked = temporary / "devstream-scm-linked"
    linked.symlink_to(starting)
    with (working / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with own_folder():
            pass
    assert set(temporary.iterdir()) == {starting, working, linked}
    assert (starting / "lock.new").exists()
