"""What can go wrong, and the exit code of each kind.

Every error says what is wrong, where (a file, line and column, or an address) and what would be right::

    DevstreamError
    ├── UsageError                3   the command line
    ├── ConfigError               3   the configuration; carries every mistake found, not only the first
    ├── PluginError               3   a plugin is missing, does not load, or breaks the contract
    ├── OptionError               3   an option of a state backend is unknown, missing or wrong
    ├── StalePlanError            3   the world moved since the plan was saved
    ├── OperationError            4   a hook failed; plugins raise this one
    │   ├── RetryableError        4   ... and nothing was changed: the engine may try again
    │   └── OperationCancelled    4   ... because the run is being stopped
    ├── LeaseError                5   somebody else is running
    ├── StateError                6   the recorded state
    │   ├── StateConflictError    6   somebody else wrote it
    │   ├── StateDamagedError     6   it is not what was written
    │   ├── StateForeignError     6   it is not ours (or from a newer version)
    │   ├── StateUnreachableError 6   the backend does not answer
    │   ├── SwapUnsettled         6   a backend cannot say whether a swap happened (settled by the manager)
    │   └── SwapRefused           6/7 a backend says that it did not, and why
    ├── CredentialsError          7   refused by the state's backend or a secret source
    ├── DeclinedError             8   the answer was no, or there was nobody to ask
    └── ProtectedError            9   something protected was left in place

Anything else that reaches the top is our bug: exit code 1 and a traceback.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, ClassVar

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "ExitCode",
    "Severity",
    "Mark",
    "Diagnostic",
    "DevstreamError",
    "UsageError",
    "ConfigError",
    "PluginError",
    "OptionError",
    "StalePlanError",
    "OperationError",
    "RetryableError",
    "OperationCancelled",
    "LeaseError",
    "StateError",
    "StateConflictError",
    "StateDamagedError",
    "StateForeignError",
    "StateUnreachableError",
    "SwapUnsettled",
    "SwapRefused",
    "Refusal",
    "CredentialsError",
    "DeclinedError",
    "ProtectedError",
    "nearest",
    "Proposals",
]


class ExitCode(IntEnum):
    """The exit codes of the command line. Frozen: scripts depend on them."""

    OK = 0
    """Done, or nothing to do."""
    BUG = 1
    """A defect of devstream itself."""
    CHANGES = 2
    """There are changes or drift; only with ``--detailed-exitcode``."""
    CONFIG = 3
    """Usage, configuration, a missing plugin or a stale plan."""
    FAILED = 4
    """An operation or a read failed."""
    LEASE = 5
    """The lease on the state was not obtained in time."""
    STATE = 6
    """The state is in conflict, damaged, foreign or unreachable."""
    CREDENTIALS = 7
    """The state's backend or a secret source refused the credentials."""
    DECLINED = 8
    """The answer was no, or there was no terminal to ask."""
    PROTECTED = 9
    """Something protected was left in place."""
    INTERRUPTED = 130
    """Ctrl-C (SIGINT)."""
    TERMINATED = 143
    """SIGTERM."""


class Severity(StrEnum):
    """How much a diagnostic matters: an error ends the command, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Mark(Immutable, frozen=True):
    """A place in a file: line and column count characters from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Diagnostic(Immutable, frozen=True):
    """One thing to tell the user: what, where, and what would be right.

    Attributes:
        summary: what is wrong, in one line without a full stop.
        code: a stable name of the kind of mistake, in kebab-case.
        severity: error or warning.
        detail: more lines, where one is not enough.
        mark: the place in a file, where there is one.
        address: the tool it is about, as ``name.instanceID``.
        suggestion: what would be right: the nearest valid name, or the next command to type.
    """

    summary: str
    code: str
    severity: Severity = Severity.ERROR
    detail: str = ""
    mark: Mark | None = None
    address: str | None = None
    suggestion: str = ""

    def __str__(self) -> str:
        place = f"{self.mark}: " if self.mark else (f"{self.address}: " if self.address else "")
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{place}{self.summary}{hint}"


class DevstreamError(Exception):
    """An error that the user can do something about; it is printed without a traceback.

    Args:
        summary: what is wrong, in one line.
        code: a stable kebab-case name; by default the class's own.
        detail: more lines.
        mark: where in a file.
        address: which tool.
        suggestion: what would be right.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.CONFIG
    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        summary: str,
        *,
        code: str = "",
        detail: str = "",
        mark: Mark | None = None,
        address: str | None = None,
        suggestion: str = "",
    ) -> None:
        super().__init__(summary)
        self.diagnostic = Diagnostic(
            summary,
            code or self.default_code,
            detail=detail,
            mark=mark,
            address=address,
            suggestion=suggestion,
        )

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything this error has to say, most important first."""
        return (self.diagnostic,)

    def __str__(self) -> str:
        return "\n".join(str(diagnostic) for diagnostic in self.diagnostics)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.__dict__, self.args)


def _rebuild(
    kind: type[DevstreamError], fields: dict[str, object], args: tuple[object, ...]
) -> DevstreamError:
    """Make an error again that another process pickled; keyword-only constructors need the help."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class UsageError(DevstreamError):
    """The command line asks for something that does not exist or does not fit together."""

    default_code = "usage"


class ConfigError(DevstreamError):
    """The configuration is wrong. It carries every mistake that was found."""

    default_code = "config"

    def __init__(self, diagnostics: Iterable[Diagnostic] | str, **fields: str | Mark | None) -> None:
        if isinstance(diagnostics, str):
            super().__init__(diagnostics, **fields)  # type: ignore[arg-type]  # same keywords, checked there
            self._all: tuple[Diagnostic, ...] = (self.diagnostic,)
            return
        self._all = tuple(diagnostics)
        first = self._all[0]
        super().__init__(first.summary, code=first.code, mark=first.mark, address=first.address)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every mistake, in the order of the files."""
        return self._all


class PluginError(DevstreamError):
    """A plugin is missing, does not load, or breaks the contract of the hooks."""

    default_code = "plugin"


class OptionError(DevstreamError):
    """An option of a state backend is unknown, missing or wrong.

    Args:
        option: its name as written, so that the engine can add the place; empty where it is missing.
    """

    default_code = "option"

    def __init__(self, summary: str, *, option: str = "", code: str = "", suggestion: str = "") -> None:
        super().__init__(summary, code=code, suggestion=suggestion)
        self.option = option


class StalePlanError(DevstreamError):
    """What a saved plan was made from is no longer so. It carries every difference that was found."""

    default_code = "stale-plan"

    def __init__(self, summary: str, differences: Iterable[Diagnostic], *, suggestion: str = "") -> None:
        super().__init__(summary, suggestion=suggestion)
        self._differences = tuple(differences)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """That it is stale, and each difference."""
        return (self.diagnostic, *self._differences)


class OperationError(DevstreamError):
    """A hook could not do what it was asked to. Plugins raise this, with the cause in plain words.

    The engine assumes that something may have been changed, and looks with ``read``.
    """

    exit_code = ExitCode.FAILED
    default_code = "operation-failed"


class RetryableError(OperationError):
    """A hook failed and promises that *nothing was changed*; the engine may try again."""

    default_code = "retryable"


class OperationCancelled(OperationError):
    """A hook noticed that the run is being stopped and gave up."""

    default_code = "cancelled"


class LeaseError(DevstreamError):
    """Another run holds the lease on the state."""

    exit_code = ExitCode.LEASE
    default_code = "lease"


class StateError(DevstreamError):
    """The recorded state cannot be used as it is."""

    exit_code = ExitCode.STATE
    default_code = "state"


class StateConflictError(StateError):
    """Somebody else wrote the state while we held it for ours."""

    default_code = "state-conflict"


class StateDamagedError(StateError):
    """The state's bytes are not what was written: empty, truncated, flipped or edited by hand."""

    default_code = "state-damaged"


class StateForeignError(StateError):
    """The state belongs to something else: the old DevStream, another program, or a newer version."""

    default_code = "state-foreign"


class StateUnreachableError(StateError):
    """The state's backend cannot be reached or cannot be used."""

    default_code = "state-unreachable"


class SwapUnsettled(StateError):
    """A backend does not know whether a swap took place; the manager settles it by reading."""

    default_code = "swap-unsettled"


class Refusal(StrEnum):
    """Why a backend refuses a swap; the only answers of a backend that are believed."""

    CREDENTIALS = "credentials"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too_large"
    CONTAINER_MISSING = "container_missing"


class SwapRefused(StateError):
    """A backend says that the swap did not take place, and why."""

    default_code = "swap-refused"

    def __init__(self, summary: str, refusal: Refusal, *, suggestion: str = "") -> None:
        super().__init__(summary, suggestion=suggestion)
        self.refusal = refusal
        if refusal in (Refusal.CREDENTIALS, Refusal.FORBIDDEN):
            self.exit_code = ExitCode.CREDENTIALS  # type: ignore[misc]  # one class, two codes, by the refusal


class CredentialsError(DevstreamError):
    """The state's backend or a secret source refused the credentials, or one is not set."""

    exit_code = ExitCode.CREDENTIALS
    default_code = "credentials"


class DeclinedError(DevstreamError):
    """The answer was no, or there was no terminal to ask."""

    exit_code = ExitCode.DECLINED
    default_code = "declined"


class ProtectedError(DevstreamError):
    """Something protected stands in the way."""

    exit_code = ExitCode.PROTECTED
    default_code = "protected"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Say which valid name was probably meant, as a suggestion; empty where nothing is near.

    >>> nearest("instanceId", ["name", "instanceID", "options"])
    'did you mean "instanceID"?'
    >>> nearest("zzz", ["name"])
    ''
    """
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in valid}
    matches = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f'did you mean "{by_folded[matches[0]]}"?' if matches else ""


class Proposals:
    """Proposes nearest names as long as nobody notices: thousands among thousands would take minutes."""

    LONGEST = 320  # characters; no address has more
    MOST_WORK = 10_000_000  # pairs of characters, half a second at worst
    EACH = 32  # what comparing two names takes beside their characters

    def __init__(self) -> None:
        self._left = self.MOST_WORK

    def nearest(self, name: str, valid: Collection[str]) -> str:
        """Propose as the function `nearest` does; empty once there were too many."""
        if self._left <= 0 or len(name) > self.LONGEST:
            return ""
        self._left -= len(valid) * self.EACH + len(name) * sum(map(len, valid))
        return nearest(name, valid) if self._left > 0 else ""
