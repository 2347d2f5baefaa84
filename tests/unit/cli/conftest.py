"""A command line in this process: real sessions, streams that can be looked at."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from devstream.cli.application import Application
from devstream.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


class Typed(io.StringIO):
    """A terminal on which something was typed."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Project:
    """A folder with a configuration, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "devstream.yaml") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def __call__(self, *argv: str, typed: str | None = None, **environ: str) -> Ended:
        """Run a command; ``typed`` is what a person types, None stands for nobody there."""
        out = io.StringIO()
        err, stdin = (io.StringIO(), io.StringIO()) if typed is None else (Typed(), Typed(typed))
        app = Application(argv, environ={**self.environ, **environ}, stdin=stdin, stdout=out, stderr=err)
        return Ended(main(app), out.getvalue(), err.getvalue())

    @property
    def environ(self) -> dict[str, str]:
        home = str(self.folder / ".home")
        return {"PATH": os.environ["PATH"], "HOME": home, "COLUMNS": "100", "TERM": "xterm"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)
