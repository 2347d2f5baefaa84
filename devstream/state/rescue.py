"""The rescue file: what a run did and could not record, so that nothing it learned is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from devstream.model.state import End
from devstream.state.codec import record_to_json
from devstream.state.head import seal
from devstream.state.migrations import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from devstream.model.state import Begin, LeaseHolder, Record
    from devstream.state.head import HeadDocument

__all__ = ["write_rescue", "rescue_path"]


def rescue_path(location: str, folder: Path | None, run_id: str) -> Path:
    """Name the rescue file of a run: in ``folder``, else beside a local state, else in the current folder."""
    local = Path(location)
    if folder is None:
        folder = local.parent if local.is_absolute() and local.parent.is_dir() else Path.cwd()
    name = _file_name(location) if "://" in location else local.name
    return folder / f"{name}.rescue-{run_id}"


def _file_name(url: str) -> str:
    """Give the last part of a URL as a name that no shell and no file system minds."""
    plain = url.partition("?")[0].rpartition("/")[2]
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in plain)


def write_rescue(
    path: Path,
    document: HeadDocument,
    holder: LeaseHolder,
    records: Iterable[Record],
    begin_of: Callable[[str], Begin | None],
    *,
    now: str,
    encrypt: Callable[[bytes], bytes] = bytes,
) -> None:
    """Write records to a file for their owner alone, durably.

    An `End` names only its operation, so the `Begin` goes with it: it says what it was about.

    Args:
        encrypt: encrypts a file where the state is encrypted.

    Raises:
        OSError: it cannot be written.
    """
    wanted: list[Record] = []
    for record in records:
        begin = begin_of(record.op_id) if isinstance(record, End) else None
        wanted += [begin, record] if begin else [record]
    plain = {
        "devstream_rescue": True,
        "format": FORMAT,
        "lineage": document.lineage,
        "serial": document.serial,
        "run_id": holder.run_id,
        "who": holder.who,
        "at": now,
        "records": [record_to_json(record) for record in wanted],
    }
    _write(path, encrypt(seal(msgspec.json.format(msgspec.json.encode(plain), indent=2))))


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
