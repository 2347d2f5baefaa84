"""Saved plans on disk: written as a whole and for the user alone, read with a message for whatever else is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from devstream.errors import UsageError
from devstream.planning.saved import is_saved_plan, plan_bytes, read_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.planning.saved import SavedPlan
    from devstream.planning.saved_changes import Wording

__all__ = ["load_plan", "save_plan"]


def save_plan(saved: SavedPlan, file: Path, wording: Wording, seal: Callable[[bytes], bytes]) -> None:
    """Write a plan, with mode 0600, in one step.

    Args:
        seal: gives the bytes that are stored: the same, or encrypted.
        file: overwritten where it is a saved plan, and nothing else.

    Raises:
        UsageError: it cannot be written, or something else is there.
    """
    data = seal(plan_bytes(saved, wording))
    try:
        _refuse_other_files(file)
        _replace(file, data)
    except OSError as error:
        message = f"the plan cannot be written to {file}: {error.strerror}"
        raise UsageError(message, code="plan-unwritable") from None


def _refuse_other_files(file: Path) -> None:
    try:
        with file.open("rb") as there:
            beginning = there.read(64)
    except FileNotFoundError:
        return
    if beginning and not is_saved_plan(beginning):
        message = f"{file} is there already, and is not a saved plan"
        raise UsageError(message, code="file-exists", suggestion="choose another name for the plan")


def _replace(file: Path, data: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.urandom(6).hex()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:  # noqa: PTH123 - a descriptor
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def load_plan(file: Path, unseal: Callable[[bytes, str], bytes]) -> SavedPlan:
    """Read a plan.

    Args:
        unseal: gives the bytes that were written, by those that are stored and the name of the file.

    Raises:
        UsageError: there is none, or it cannot be used.
    """
    try:
        data = file.read_bytes()
    except IsADirectoryError:
        message = f"{file} is a folder, not a saved plan"
        raise UsageError(
            message, code="not-a-plan", suggestion=f"a configuration is named with -f: -f {file}"
        ) from None
    except OSError as error:
        message = f"the plan {file} cannot be read: {error.strerror}"
        raise UsageError(message, code="no-plan") from None
    return read_plan(unseal(data, str(file)), str(file))
