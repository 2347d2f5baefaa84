"""`Hook`: the ``post-receive`` hook that ``local-ci`` keeps in a bare repository."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from devstream.api import OperationError
from devstream_plugin_scm.ci_results import RESULTS
from devstream_plugin_scm.git import Git

if TYPE_CHECKING:
    from devstream.api import Context

__all__ = ["Hook", "HOOKS_PATH"]

HOOKS_PATH = "hooksPath"
_HEADER = "# local-ci of DevStream: tests each pushed commit. The next run undoes changes made here."
_MODULE = "devstream_plugin_scm.local_ci"


class Hook:
    """The hook of one repository, and the setting without which git may not look for it.

    Args:
        context: what git runs through.
        repository: the bare repository, absolute.
        interpreter: the Python that has this package, absolute.
    """

    INSTALLED = "installed"
    MISSING = "missing"
    CHANGED = "changed"
    FOREIGN = "not ours"
    BROKEN = "its python is gone"

    def __init__(self, context: Context, repository: Path, interpreter: str) -> None:
        self._context = context
        self._git = Git(context, repository)
        self._repository = repository
        self._interpreter = interpreter
        self._path = repository / "hooks" / "post-receive"

    def state(self) -> str:
        """Say what is there, changing nothing: one of the class's words."""
        if not self._path.is_file():
            return self.MISSING
        text = self._path.read_text(encoding="utf-8", errors="replace")
        if _HEADER not in text:
            return self.FOREIGN
        interpreter = _interpreter_of(text)
        if text != _script(interpreter) or not self._path.stat().st_mode & 0o100:
            return self.CHANGED
        return self.INSTALLED if Path(interpreter).exists() else self.BROKEN

    def hooks_path(self) -> str | None:
        """Give ``core.hooksPath`` of the repository's own configuration; a user's would hide the hook else."""
        return (
            self._git.read("config", "--local", "--get", "core.hooksPath", check=False).stdout.strip() or None
        )

    def install(self) -> None:
        """Write the hook and the setting, where they are not there already.

        Raises:
            OperationError: somebody else's ``post-receive`` is in the way, or it cannot be written.
        """
        state = self.state()
        if state == self.FOREIGN:
            message = f"{self._path} is not ours"
            raise OperationError(
                message, suggestion="move it away, or call it from a command of the pipeline"
            )
        if self.hooks_path() != "hooks":
            self._git.write("config", "--local", "core.hooksPath", "hooks")
        if state != self.INSTALLED:
            self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(exist_ok=True)
            new.write_text(_script(self._interpreter), encoding="utf-8")
            new.chmod(0o755)
            new.replace(self._path)
        except OSError as error:
            message = f"{self._path} cannot be written: {error.strerror}"
            raise OperationError(message) from error

    def remove(self) -> None:
        """Take out the hook and the setting, where they are ours, and the results."""
        if self.state() not in {self.MISSING, self.FOREIGN}:
            self._path.unlink(missing_ok=True)
        if self.hooks_path() == "hooks" and self.state() == self.MISSING:
            self._git.write("config", "--local", "--unset", "core.hooksPath", check=False)
        shutil.rmtree(self._repository / RESULTS, ignore_errors=True)

    def run_once(self, commit: str, branch: str) -> None:
        """Test one commit as the hook would; a red result is recorded and is no error here."""
        command = [self._interpreter, "-I", "-m", _MODULE, "run", str(self._repository), commit, branch]
        self._context.run(command, check=False)


def _script(interpreter: str) -> str:
    """Write the hook. Git sets GIT_DIR and more for it, which would lead every git in a test astray."""
    return "\n".join(
        (
            "#!/bin/sh",
            _HEADER,
            "unset $(git rev-parse --local-env-vars)",
            f"exec {shlex.quote(interpreter)} -I -m {_MODULE} receive",
            "",
        )
    )


def _interpreter_of(text: str) -> str:
    """Give the Python that a hook of ours runs; empty where it cannot be told."""
    for line in text.splitlines():
        if line.startswith("exec "):
            try:
                return next(iter(shlex.split(line)[1:]), "")
            except ValueError:
                return ""
    return ""
