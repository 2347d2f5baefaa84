"""What servers say to git: references, and why they take a push or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from devstream.api import OperationError
from devstream_plugin_scm.workshop import HEADS, RENDERED_BRANCH, RENDERED_REF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.api import CompletedCommand

__all__ = [
    "Refs",
    "read_refs",
    "check_push",
    "is_protected",
    "refuses_references",
    "is_absent",
    "unreachable",
]

_PROTECTED = (
    "protected branch",
    "GH006",
    "GH013",
    "not allowed to push",
    "pre-receive hook declined",
    "prohibited",
)
"""What services say when a branch does not take pushes."""
_PUSH_HINTS = {
    "create or update workflow": "give the token the scope `workflow` (fine-grained: Workflows: write)",
    "archived": "the repository is archived: unarchive it in its settings, or leave it alone",
}
"""What would be right, by what services say to other pushes that they refuse."""
_ABSENT = ("not found", "does not exist", "does not appear to be a git repository", "could not be found")
_STRANGER = ("host key verification failed", "certificate verification failed", "certificate problem")
"""What git and ssh say of a server that cannot prove who it is."""
_REFUSED = ("authentication failed", "could not read username", "permission denied", "403", "401")


class Refs(NamedTuple):
    """What a server's repository has.

    Attributes:
        default: the branch that HEAD names; empty where it names none that exists.
    """

    default: str
    branches: Mapping[str, str]
    rendered: str | None


def check_push(pushed: CompletedCommand, location: str) -> None:
    """Refuse to go on after a push that was refused, in the server's words.

    Raises:
        OperationError: it was.
    """
    if pushed.returncode != 0:
        reason = "\n".join(pushed.stderr.strip().splitlines()[-20:])
        message = f"git push to {location} was refused"
        hint = next((hint for words, hint in _PUSH_HINTS.items() if _says(pushed, (words,))), "")
        raise OperationError(message, detail=reason, suggestion=hint)


def is_protected(pushed: CompletedCommand) -> bool:
    """Tell whether a push was refused because its branch takes none."""
    return _says(pushed, _PROTECTED)


def refuses_references(pushed: CompletedCommand) -> bool:
    """Tell whether a server takes no reference beside its branches and tags: it hides ours, or its hook names it."""
    said = [line for line in pushed.stderr.splitlines() if RENDERED_REF in line]
    return any("hidden ref" in line or line.startswith("remote:") for line in said)


def is_absent(listed: CompletedCommand) -> bool:
    """Tell whether there is no repository to list the references of."""
    return _says(listed, _ABSENT)


def unreachable(listed: CompletedCommand, location: str) -> OperationError:
    """Say why references could not be listed."""
    stranger, refused = _says(listed, _STRANGER), _says(listed, _REFUSED)
    message = f"git cannot {'trust' if stranger else 'log in to' if refused else 'reach'} {location}"
    hint = "check the token or key, and that it may read the repository" if refused else ""
    if stranger:
        hint = (
            "caFile names the certificates, knownHosts the file with the host's key, if it is who you think"
        )
    return OperationError(message, detail=listed.stderr.strip()[-2000:], suggestion=hint)


def _says(done: CompletedCommand, words: Sequence[str]) -> bool:
    said = done.stderr.casefold()
    return any(word.casefold() in said for word in words)


def read_refs(listed: str) -> Refs:
    """Read ``git ls-remote --symref``."""
    default, rendered = "", None
    branches: dict[str, str] = {}
    for line in listed.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            default = value.removeprefix("ref: ").removeprefix(HEADS)
        elif name.startswith(HEADS):
            branches[name.removeprefix(HEADS)] = value
        elif name == RENDERED_REF:
            rendered = value
    beside = branches.pop(RENDERED_BRANCH, None)
    return Refs(default, branches, rendered or beside)
