"""When it is our fault: a short message, and a file with the traceback for the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devstream import __version__
from devstream.errors import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.redact import Redactor

__all__ = ["traceback_text", "crash_diagnostic"]


def traceback_text(error: BaseException, redactor: Redactor) -> str:
    """Give an error's traceback, without secrets and without the values of variables."""
    from traceback import format_exception

    return redactor.mask("".join(format_exception(error)))


def crash_diagnostic(
    error: BaseException, *, command: str, environ: Mapping[str, str], redactor: Redactor
) -> Diagnostic:
    """Write the crash file and give the message that names it; never fails itself."""
    text = (
        f"devstream {__version__}\n{_system()}\n{redactor.mask(command)}\n\n{traceback_text(error, redactor)}"
    )
    file = _write(text, environ)
    where = f"the traceback is in {file}" if file else "the traceback could not be written; --debug shows it"
    return Diagnostic(
        f"this is a defect of devstream: {type(error).__name__}: {redactor.mask(str(error))}",
        "bug",
        detail=where,
        suggestion="please report it with that file; secrets are masked in it",
    )


def _system() -> str:
    import platform
    import sys

    return f"Python {sys.version.split()[0]} on {platform.platform()}"


def _write(text: str, environ: Mapping[str, str]) -> Path | None:
    """Write to the user's state folder, or else to the one for temporary files; readable by the user alone."""
    import os
    import tempfile

    home = environ.get("HOME")
    base = environ.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else None)
    for folder in [Path(base, "devstream") if base else None, Path(tempfile.gettempdir())]:
        if folder is None:
            continue
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="crash-", suffix=".txt", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return Path(name)
    return None
