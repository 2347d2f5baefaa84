"""Reading a mapping key by key: what is there has the right type, what is wrong is said with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from devstream.config.findings import clipped
from devstream.config.origins import place_of
from devstream.config.scalars import typed
from devstream.config.tree import Map, Seq, Text, key_mark
from devstream.errors import ConfigError, Diagnostic, Proposals, Severity
from devstream.model.app import Treatment
from devstream.model.values import Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from devstream.config.tree import Node
    from devstream.errors import Mark

__all__ = ["TREATMENT_KEYS", "Problems", "Block", "in_file_order", "plain"]

T = TypeVar("T")

TREATMENT_KEYS = frozenset({"adopt", "allowDelete", "protect", "retries", "timeout", "tags", "connection"})
"""How a tool is treated, beside its options; also for ci and cd items and pipeline templates."""

MOST = 1_000
"""Of retries, or operations at once, as on the command line."""

LONGEST_TIME = 10 * 365 * 24 * 3600
"""Seconds; what is longer is a slip, and no clock of the operating system takes it."""

_DURATION = re.compile(r"(?=.)(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?", re.ASCII)
_TRUTH = {"yes": True, "on": True, "no": False, "off": False}


class Problems:
    """Collects every mistake and warning, so that all of them are told at once.

    Args:
        env: gives a variable of the environment, for secrets that stand where only plain text can.
        offline: nothing that is not set is an error, it is only not known.

    Attributes:
        proposals: gives the nearest valid names.
    """

    def __init__(self, env: Callable[[str], str | None], *, offline: bool = False) -> None:
        self.env = env
        self.offline = offline
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.proposals = Proposals()

    def error(
        self, summary: str, code: str, mark: Mark | None, *, suggestion: str = "", detail: str = ""
    ) -> None:
        """Note a mistake."""
        self.errors.append(
            Diagnostic(clipped(summary), code, mark=mark, suggestion=suggestion, detail=detail)
        )

    def warn(self, summary: str, code: str, mark: Mark | None, *, suggestion: str = "") -> None:
        """Note something that stops nothing."""
        self.warnings.append(
            Diagnostic(clipped(summary), code, Severity.WARNING, mark=mark, suggestion=suggestion)
        )

    def raise_any(self, files: Iterable[str]) -> None:
        """Raise what was noted, if anything was.

        Args:
            files: display names of the files, in the order they are read.

        Raises:
            ConfigError: with every mistake, in file order.
        """
        if self.errors:
            raise ConfigError(in_file_order(self.errors, files))


def in_file_order(diagnostics: Iterable[Diagnostic], files: Iterable[str]) -> list[Diagnostic]:
    """Sort diagnostics by file and place, without repeats; those without a place come first."""
    order = {name: index for index, name in enumerate(files)}

    def key(diagnostic: Diagnostic) -> tuple[int, str, int, int]:
        mark = diagnostic.mark
        return (
            (order.get(mark.file, len(order)), mark.file, mark.line, mark.column) if mark else (-1, "", 0, 0)
        )

    return sorted(dict.fromkeys(diagnostics), key=key)


def plain(value: Any, env: Callable[[str], str | None]) -> Any:
    """Give the text of a secret that stands where only plain text can; any other value as it is."""
    if not isinstance(value, Secret):
        return value
    parts = [(env(part.key) or "") if isinstance(part, SecretRef) else part for part in value.parts]
    return Text("".join(parts))


class Block:
    """One mapping of the configuration: its rendered values, and where each was written.

    Args:
        node: the mapping as written (or the template it came from).
        values: the same, rendered.
        what: how messages call it: ``tool``, ``app svc``.
        problems: where mistakes go.
    """

    __slots__ = ("node", "problems", "values", "what")

    def __init__(self, node: Node, values: Mapping[str, Any], what: str, problems: Problems) -> None:
        self.node = node
        self.values = values
        self.what = what
        self.problems = problems

    @property
    def mark(self) -> Mark | None:
        """Where it begins."""
        return place_of(self.node, ())

    def place(self, *path: str | int) -> Mark | None:
        """Give the place of a value in it (or of what holds it)."""
        return place_of(self.node, path)

    def key_place(self, key: str) -> Mark | None:
        """Give the place of a key."""
        if isinstance(self.node, Map) and key in self.node:
            return key_mark(self.node, key)
        return self.mark

    def check_keys(self, valid: Collection[str]) -> None:
        """Note every key that is not among ``valid``, with the nearest that is."""
        for key in self.node if isinstance(self.node, Map) else self.values:
            if key not in valid:
                hint = self.problems.proposals.nearest(key, valid) or f"valid are {', '.join(sorted(valid))}"
                self._wrong_key(key, hint)

    def _wrong_key(self, key: str, hint: str) -> None:
        self.problems.error(
            f'{self.what} has no key "{key}"', "unknown-key", self.key_place(key), suggestion=hint
        )

    def required(self, key: str, hint: str = "") -> str:
        """Give a text that must be there; the empty text where it is not, which is noted."""
        value = self.values.get(key)
        if value is None or value == "":
            self.problems.error(f'{self.what} has no "{key}"', "missing-key", self.mark, suggestion=hint)
            return ""
        return self.text(key) or ""

    def text(self, key: str) -> str | None:
        """Give a text; None where it is not written or not usable (which is noted)."""
        value = self.values.get(key)
        if value is None or type(value) is str:
            return value
        return self.text_at(value, key)

    def shown(self, value: Any, text: str) -> str:
        """Give a text as a message may show it: what came from the environment may be a secret in the wrong place."""
        return "what the environment gives" if isinstance(value, Secret) else f'"{text}"'

    def text_at(self, value: Any, *path: str | int) -> str | None:
        """Give ``value``, the one at ``path``, as text; numbers count as what they look like."""
        value = plain(value, self.problems.env)
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self._wrong_type(value, "a text", path)
        return None

    def _wrong_type(self, value: Any, wanted: str, path: tuple[str | int, ...]) -> None:
        """Note that a value has the wrong type; what could not be rendered has been noted already."""
        if isinstance(value, Unknown) and not self.problems.offline:
            return
        name = _field_name(path)
        if isinstance(value, Unknown):
            message = f'"{name}" of {self.what} must be known: {value.because or "it is not"}'
        else:
            message = f'"{name}" of {self.what} must be {wanted}, not {_kind_of(value)}'
        self.problems.error(message, "wrong-type", self.place(*path), suggestion=_quoting(value, wanted))

    def truth(self, key: str) -> bool | None:
        """Give true or false; None where it is not written, not known or not usable (which is noted)."""
        value = self._scalar(key)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, str) and value.lower() in _TRUTH:
            self.problems.warn(
                f'"{value}" is a text; here it counts as {str(_TRUTH[value.lower()]).lower()}',
                "yes-no",
                self.place(key),
                suggestion="write true or false",
            )
            return _TRUTH[value.lower()]
        self._wrong_type(value, "true or false", (key,))
        return None

    def count(self, key: str, *, least: int = 0, most: int = MOST) -> int | None:
        """Give a whole number from ``least`` to ``most``; None as for `truth`."""
        value = self._scalar(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong_type(value, "a whole number", (key,))
        elif value < least:
            self._wrong_value(key, f"must be at least {least}, not {value}")
        elif value > most:
            self._wrong_value(key, f"must be at most {most:,}, not {value}")
        else:
            return value
        return None

    def seconds(self, key: str) -> float | None:
        """Give a time in seconds, written as a number or like ``30s``, ``5m``, ``1h30m``; None as for `truth`."""
        value = self._scalar(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
            hours, minutes, rest = match.groups(default="0")
            seconds = int(hours) * 3600 + int(minutes) * 60 + float(rest)
        else:
            self._wrong_type(value, 'a number of seconds, or a text like "30s" or "5m"', (key,))
            return None
        if 0 < seconds <= LONGEST_TIME:
            return seconds
        most = f"at most {LONGEST_TIME // 3600}h" if seconds > 0 else "more than 0 seconds"
        self._wrong_value(key, f"must be {most}")
        return None

    def _scalar(self, key: str) -> Any:
        """Give a value where not knowing it does no harm; text from outside takes the type it looks like."""
        value = plain(self.values.get(key), self.problems.env)
        if isinstance(value, Text):
            found = typed(value)
            return Text(found) if isinstance(found, str) else found
        return None if isinstance(value, Unknown) else value

    def _wrong_value(self, key: str, what: str) -> None:
        self.problems.error(f'"{key}" of {self.what} {what}', "wrong-value", self.place(key))

    def words(self, key: str) -> tuple[str, ...]:
        """Give a list of texts; one text counts as a list of one; blank ones are left out."""
        value = plain(self.values.get(key), self.problems.env)
        if value is None or isinstance(value, Unknown):
            return ()
        if isinstance(value, str):
            return (str(value),)
        if not isinstance(value, list):
            self._wrong_type(value, "a list of texts", (key,))
            return ()
        found = [self.text_at(item, key, index) for index, item in enumerate(value) if item is not None]
        return tuple(word for word in found if word and word.strip())

    def mapping(self, key: str) -> dict[str, Any] | None:
        """Give a mapping; None where it is not written or not usable (which is noted)."""
        value = self.values.get(key)
        if value is None or isinstance(value, dict):
            return value
        self._wrong_type(value, "a mapping", (key,))
        return None

    def items(self, key: str) -> Seq | None:
        """Give a list as written, not rendered; None where it is not written or none (which is noted)."""
        value = self.node.get(key) if isinstance(self.node, Map) else None
        if value is None or isinstance(value, Seq):
            return value
        self._wrong_type(value, "a list", (key,))
        return None

    def child(self, key: str, what: str = "") -> Block | None:
        """Give the mapping under a key as a block of its own; None as for `mapping`."""
        values = self.mapping(key)
        if values is None:
            return None
        node = self.node.get(key) if isinstance(self.node, Map) else self.node
        return Block(node, values, what or f"{key} of {self.what}", self.problems)

    def treatment(self) -> Treatment:
        """Give how the tool is to be treated."""
        if self.values.keys().isdisjoint(TREATMENT_KEYS):
            return _UNTREATED
        return Treatment(
            adopt=self.truth("adopt"),
            allow_delete=self.truth("allowDelete"),
            protect=self.truth("protect"),
            retries=self.count("retries"),
            timeout=self.seconds("timeout"),
            connection=self.text("connection"),
            tags=self.words("tags"),
        )


_UNTREATED = Treatment()


def _field_name(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _kind_of(value: Any) -> str:
    if isinstance(value, Text):
        return "what the environment gives"  # which may be a secret in the wrong place
    kinds = ((bool, "true or false"), (int | float, "a number"), (str, "a text"), (dict, "a mapping"))
    for kind, name in (*kinds, (list, "a list"), (type(None), "empty")):
        if isinstance(value, kind):
            return f'the text "{value}"' if kind is str else name
    return "a value that is known only later"


def _quoting(value: Any, wanted: str) -> str:
    return "put it in quotes" if wanted == "a text" and isinstance(value, bool | float) else ""
