"""`Program`: `devstream` run as people do, in a folder of its own; nothing it says or writes may hold a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.testing.service import Service

__all__ = ["Program", "Ended", "run_git", "CANARY", "PASSWORD"]

CANARY = "canary-token-7d21"
PASSWORD = "canary-password-98aa"
SECONDS = 60


def run_git(*argv: str) -> str:
    """Run git; give what it prints."""
    return subprocess.run(["git", *argv], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Program:
    """`devstream`, run as people do, in a folder of its own.

    Attributes:
        environ: what it sees of the environment, beside the usual.
    """

    root: Path
    environ: dict[str, str]

    def __post_init__(self) -> None:
        self.folder, home, temporary = (self.root / name for name in ("project", "home", "tmp"))
        for folder in (self.folder, home, temporary):
            folder.mkdir(parents=True)
        usual = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary)}
        self.environ = {**usual, **self.environ}

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command, as the leader of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "devstream", *argv],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def devstream(self, *argv: str, code: int | None = 0) -> Ended:
        """Run a command; ``code`` is how it has to end, None for any way."""
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=SECONDS)
        assert "Traceback" not in out + err, err
        assert CANARY not in out + err
        assert PASSWORD not in out + err
        assert code in (process.returncode, None), f"{process.returncode}: {out}{err}"
        return Ended(process.returncode, out, err)

    @property
    def written(self) -> str:
        """Everything in the folder, as text."""
        return "".join(
            path.read_text("utf-8", "replace") for path in self.folder.rglob("*") if path.is_file()
        )

    @property
    def left_behind(self) -> list[Path]:
        """What dead runs left among temporary files that holds a secret: nobody has removed it."""
        found = [path for path in (self.root / "tmp").rglob("*") if path.is_file()]
        secrets = (CANARY.encode(), PASSWORD.encode())
        return [path for path in found if any(secret in path.read_bytes() for secret in secrets)]

    def bare(self, service: Service, name: str) -> Path:
        """Where a server keeps a repository."""
        found = service.git_repository(name)
        assert found is not None, f"there is no repository {name}"
        return found

    def git(self, service: Service, name: str, *argv: str) -> str:
        """Ask git in a repository of a server."""
        return run_git("--git-dir", str(self.bare(service, name)), *argv)
