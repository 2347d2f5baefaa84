"""What references stand for while a plan is being made or carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError, nearest
from devstream.model.recorded import is_hidden, revealed
from devstream.model.values import Unknown, format_path
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.model.address import Address
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.values import Reference, SecretRef

__all__ = ["Known", "OutputBook", "outputs_now", "outputs_before"]


class Known(Immutable, frozen=True):
    """The outputs of one tool as they are known now.

    Attributes:
        outputs: by key; None where nothing is known (it will be created or replaced).
        may_change: the tool is to be changed, so they may differ at the reader's turn.
        complete: what is not among them does not exist. False where the tool could not be looked at.
    """

    outputs: Mapping[str, Any] | None
    may_change: bool = False
    complete: bool = True


def outputs_now(
    recorded: ToolState | None, observed: ResourceStatus | None, *, can_integrate: bool
) -> Mapping[str, Any] | None:
    """Give the outputs of a tool that stays as it is: what `read` said, or else what is recorded.

    `read` does not know what `integrate` added, so for tools that have one both count. None: nobody knows.
    """
    before = revealed(recorded.outputs) if recorded is not None else None
    fresh = observed.outputs if observed is not None else None
    if before and fresh is not None and can_integrate:
        return {**before, **fresh}
    return before if fresh is None else fresh


def outputs_before(recorded: ToolState | None, observed: ResourceStatus | None) -> Mapping[str, Any] | None:
    """Give the outputs of a tool that is to be changed: what is recorded, and what `read` said of the rest.

    The recorded ones are what its readers have. Secret ones are in the record only where it is encrypted.
    """
    before = revealed(recorded.outputs) if recorded is not None else None
    fresh = observed.outputs if observed is not None else None
    if before is None or not fresh:
        return before or fresh
    return {
        **fresh,
        **{name: value for name, value in before.items() if not (name in fresh and _hides(value))},
    }


@dataclass(slots=True)
class OutputBook:
    """Outputs by address, and where secrets come from; a `devstream.model.recorded.Resolver`.

    Looking something up notes it: ``unknown`` and ``uncertain`` say which upstreams the last resolution
    (since `start`) met that are not known yet, or may change.
    """

    secrets: Callable[[SecretRef], str]
    known: dict[Address, Known] = field(default_factory=dict)
    unknown: dict[Address, None] = field(default_factory=dict)
    uncertain: dict[Address, None] = field(default_factory=dict)

    def start(self) -> None:
        """Forget what was noted, before resolving another tool's options."""
        self.unknown = {}
        self.uncertain = {}

    def secret(self, ref: SecretRef) -> str:
        """Give the text of a secret."""
        return self.secrets(ref)

    def reference(self, reference: Reference) -> Any:
        """Give the value of an output, or `Unknown`.

        Raises:
            OperationError: the tool is known not to have such an output.
        """
        known = self.known.get(reference.address, Known(None))
        if known.may_change:
            self.uncertain[reference.address] = None
        if known.outputs is None:
            self.unknown[reference.address] = None
            return Unknown(str(reference.address))
        value = _descend(known, reference)
        if isinstance(value, Unknown):
            self.unknown[reference.address] = None
        return value


def _descend(known: Known, reference: Reference) -> Any:
    value: Any = known.outputs
    for depth, step in enumerate(reference.path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if known.may_change or not known.complete:
                return Unknown(str(reference.address))
            raise _no_such_output(reference, depth, value) from None
    if not _hides(value):
        return value
    if known.may_change or not known.complete:
        return Unknown(str(reference.address))
    message = f"the secret output {reference} is not recorded, and could not be read again"
    raise OperationError(message, code="secret-output")


def _hides(value: Any) -> bool:
    """Tell whether there is a secret in it of which only the fingerprint is recorded."""
    if isinstance(value, dict):
        return is_hidden(value) or any(_hides(item) for item in value.values())
    return isinstance(value, list) and any(_hides(item) for item in value)


def _no_such_output(reference: Reference, depth: int, value: Any) -> OperationError:
    where = format_path(reference.path[:depth]) or "outputs"
    names = [str(name) for name in value] if isinstance(value, dict) else []
    wanted = str(reference.path[depth])
    there = f"there are: {', '.join(names)}" if names else "it has none"
    return OperationError(
        f"{reference.address} has no output {format_path(reference.path)}",
        code="unknown-output",
        detail=f"in {where}: {there}",
        suggestion=nearest(wanted, names) or there,
    )
