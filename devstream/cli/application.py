"""`Application`: one run of the program: its streams, what was asked for, and how it is answered."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.errors import ExitCode, Severity, UsageError
from devstream.model.events import Notice, PlanReady
from devstream.model.redact import Redactor
from devstream.record import Immutable
from devstream.report.reporter import Silent
from devstream.report.streams import Output
from devstream.report.terminal import Colour, look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    from devstream.engine.session import Invocation, Session
    from devstream.errors import Diagnostic
    from devstream.model.events import Event
    from devstream.model.plan import Plan
    from devstream.planning.selection import Selectors
    from devstream.report.reporter import Reporter
    from devstream.report.terminal import Look

    Mask = Callable[[str], str]

__all__ = ["Application", "Answer", "Shared", "Format"]


class Format(StrEnum):
    """``--output``."""

    HUMAN = "human"
    JSON = "json"
    NDJSON = "ndjson"


@dataclass(slots=True)
class Shared:
    """What was given for the options that commands share."""

    output: Format = Format.HUMAN
    colour: Colour = Colour.AUTO
    quiet: bool = False
    verbosity: int = 0
    no_input: bool = False
    config_file: Path | None = None
    state_url: str | None = None
    state_key_files: tuple[Path, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    plugins: tuple[str, ...] = ()
    chdir: str | None = None
    replace: tuple[str, ...] = ()
    unprotect: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    last_failed: bool = False

    @property
    def selectors(self) -> Selectors | None:
        """Which tools are meant; None: all."""
        if not (self.target or self.exclude or self.keywords or self.tags or self.last_failed):
            return None
        from devstream.planning.selection import Selectors

        return Selectors(self.target, self.exclude, self.keywords, self.tags, self.last_failed)


class Answer(Immutable, frozen=True):
    """What a command found out, in both forms; only the one that is asked for is made.

    Attributes:
        data: gives the payload of the JSON document; it must pass every text through the mask.
        lines: gives the text for people.
        later: what people should see last, on standard error.
    """

    data: Callable[[Mask], Mapping[str, Any]]
    lines: Callable[[Look], Sequence[str]]
    code: ExitCode = ExitCode.OK
    later: tuple[Diagnostic, ...] = ()


class Application:
    """Holds the streams and collects what is to be said on them.

    Args:
        argv: the arguments, without the program's name.
        program: the name to use in commands that are proposed.
        environ: the process's environment.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
        program: str = "devstream",
    ) -> None:
        self.argv = tuple(argv)
        self.program = program
        self.environ = environ
        self.stdin = stdin
        self.shared = Shared()
        self.redactor = Redactor()
        self.command = ""
        self.plan: Plan | None = None
        self.diagnostics: list[Diagnostic] = []
        self.reporter: Reporter = Silent()
        self._streams = (stdout, stderr)
        self._outputs: dict[bool, Output] = {}

    @property
    def out(self) -> Output:
        """Standard output: results only."""
        return self._output(errors=False)

    @property
    def err(self) -> Output:
        """Standard error: progress, questions, warnings and errors."""
        return self._output(errors=True)

    def _output(self, *, errors: bool) -> Output:
        """Look at the stream on first use: only then it is known what was asked for."""
        if errors not in self._outputs:
            stream = self._streams[errors]
            look = look_at(stream, self.environ, colour=self.shared.colour, folder=self.folder)
            self._outputs[errors] = Output(stream, self.redactor, look)
        return self._outputs[errors]

    @property
    def folder(self) -> str:
        """The working folder; empty where it is gone."""
        try:
            return str(self.cwd)
        except UsageError:
            return ""

    @property
    def cwd(self) -> Path:
        """The working folder.

        Raises:
            UsageError: it is gone.
        """
        try:
            return Path.cwd()
        except OSError:
            message = "the current folder does not exist any more"
            raise UsageError(message, suggestion="go to one that does, or name one with --chdir") from None

    @property
    def is_human(self) -> bool:
        """True where the answer is text for people."""
        return self.shared.output is Format.HUMAN

    def begin(self, command: str) -> None:
        """Name the command that is carried out, choose how progress is shown, and say what the options ask for."""
        self.command = command
        if (
            sys.stdout is self._streams[0]
        ):  # only results go there: what plugins print must not come between them
            sys.stdout = self._streams[1]
        self.reporter = self._new_reporter()
        found, self.diagnostics = self.diagnostics, []
        self.warn(found)

    def _new_reporter(self) -> Reporter:
        if self.shared.output is Format.NDJSON:
            from devstream.report.json import Lines

            return Lines(self.out, self.command, self.redactor.mask)
        if not self.is_human or self.shared.quiet:
            return Silent()
        if self.err.isatty() and self.environ.get("TERM") != "dumb":
            from devstream.report.live import Live

            return Live(self.err, verbosity=self.shared.verbosity)
        from devstream.report.console import Console

        return Console(self.err, verbosity=self.shared.verbosity)

    def invocation(
        self,
        *,
        offline: bool = False,
        refresh: bool = True,
        parallelism: int | None = None,
        fail_fast: bool = False,
        lock_timeout: float = 90.0,
    ) -> Invocation:
        """Say what is asked for, in the engine's words."""
        from devstream.cli.wording import recorded_command
        from devstream.engine.session import Invocation

        shared = self.shared
        return Invocation(
            command=recorded_command(self.program, self.argv),
            cwd=self.cwd,
            config=shared.config_file,
            state_url=shared.state_url,
            state_key_files=shared.state_key_files,
            environ=self.environ,
            variables=shared.variables,
            var_files=shared.var_files,
            plugins=shared.plugins,
            parallelism=parallelism,
            refresh=refresh,
            fail_fast=fail_fast,
            lock_timeout=lock_timeout,
            offline=offline,
            replace=shared.replace,
            unprotect=shared.unprotect,
            selectors=shared.selectors,
        )

    def open(self, invocation: Invocation) -> Session:
        """Give the session that carries an invocation out."""
        from devstream.engine.session import Session

        return Session(invocation, emit=self.emit, redactor=self.redactor)

    def emit(self, event: Event) -> None:
        """Take an event of the engine; it may come from any thread."""
        if isinstance(event, PlanReady):
            self.plan = event.plan
        if isinstance(event, Notice):
            self.diagnostics.append(event.diagnostic)
        self.reporter(event)

    def warn(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Say what the user should know; each thing once."""
        new = [diagnostic for diagnostic in dict.fromkeys(diagnostics) if diagnostic not in self.diagnostics]
        self.diagnostics += new
        if self.is_human:
            self.show([item for item in new if item.severity is Severity.ERROR or not self.shared.quiet])

    def show(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Print diagnostics for people."""
        if diagnostics:
            from devstream.report.diagnostics import all_lines

            self.reporter.pause()
            self.err.lines(all_lines(diagnostics, self.err.look))

    def answer(self, answer: Answer) -> ExitCode:
        """Print what a command found out, and give its exit code."""
        self.reporter.close()
        if self.is_human:
            self.out.lines(answer.lines(self.out.look))
            self.show(answer.later)
        else:
            self.diagnostics += [item for item in answer.later if item not in self.diagnostics]
            self._data(answer.code, answer.data(self.redactor.mask))
        return answer.code

    def fail(self, diagnostics: Sequence[Diagnostic], code: ExitCode) -> ExitCode:
        """Print why a command could not be carried out, and give its exit code."""
        self.reporter.close()
        self.diagnostics += diagnostics
        if self.is_human:
            self.show(diagnostics)
        else:
            self._data(code, {})
        return code

    def _data(self, code: ExitCode, payload: Mapping[str, Any]) -> None:
        """Print the one document, or the last lines."""
        from devstream.report.json import Lines, document, encode

        whole = document(self.command, code, self.diagnostics, payload, self.redactor.mask)
        if self.shared.output is Format.JSON:
            self.out.data(encode(whole, indent=True) + "\n")
            return
        lines = (
            self.reporter
            if isinstance(self.reporter, Lines)
            else Lines(self.out, self.command, self.redactor.mask)
        )
        if payload:
            lines.put({"type": "result", **payload})
        lines.put({"type": "end", "exit_code": int(code), "diagnostics": whole["diagnostics"]})
