"""Walking options and their types side by side: every mistake at its path, and what an option stands for.

The types are those of `msgspec.inspect`. msgspec itself stops at the first mistake and ignores unknown keys; so
this walk runs where its one call over the whole did not do.
"""

from __future__ import annotations

import re
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from msgspec import inspect as types

from devstream.errors import Proposals, Severity, nearest
from devstream.model.values import (
    Interpolation,
    Path,
    Reference,
    Secret,
    SecretRef,
    Unknown,
    format_path,
    map_leaves,
)
from devstream.plugins.wording import (
    BOOLEANS,
    LISTS,
    bounds,
    choices,
    conversions,
    expected,
    holds_secret,
    is_secret,
    literal,
    members,
    reads_as,
    same_shape,
    shown,
    takes_scalar,
    unwrap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstream.model.values import Value

__all__ = ["Problem", "Walk"]

_WAITING = (Unknown, Reference, Interpolation)


class Problem(NamedTuple):
    """Something wrong, or odd, with the value at a path of the options."""

    path: Path
    summary: str
    code: str
    suggestion: str = ""
    severity: Severity = Severity.ERROR


class Walk:
    """One walk over options. It collects `problems` and gives the options in the form to work with.

    In that form text at an option marked secret is a `Secret`, a number or boolean that came from an environment
    variable is one, and ``yes`` at a boolean is True. Values that are not known yet stay as they are, and
    ``waiting`` tells that there were some.

    Args:
        env: gives the text of a secret that stands at a number or boolean; None where it cannot be asked.
        keep_words: leave ``yes`` at a boolean as it is, so that a later walk still sees it.
    """

    def __init__(self, env: Callable[[SecretRef], str] | None = None, *, keep_words: bool = False) -> None:
        self._env = env
        self._keep_words = keep_words
        self.problems: list[Problem] = []
        self._proposals = Proposals()
        self.waiting = False

    @property
    def failed(self) -> bool:
        """True where a problem is more than a warning."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def value(
        self, kind: types.Type, value: Value, path: Path = (), flags: frozenset[str] = frozenset()
    ) -> Value:
        """Check one value against one type; gives the value to work with."""
        kind, flags = unwrap(kind, flags)
        if isinstance(value, _WAITING):
            return self._later(kind, value, path, flags)
        if isinstance(value, Secret):
            return self._secret(kind, value, path, flags)
        check = self._CHECKS.get(type(kind))
        return check(self, kind, value, path, flags) if check else value

    def _wrong(self, path: Path, summary: str, suggestion: str = "", code: str = "option-value") -> None:
        self.problems.append(Problem(path, f'"{format_path(path)}" {summary}', code, suggestion))

    # values that are more than JSON

    def _later(self, kind: types.Type, value: Value, path: Path, flags: frozenset[str]) -> Value:
        self.waiting = True
        if isinstance(value, Interpolation):
            refs = tuple(part for part in value.parts if isinstance(part, SecretRef))
            if refs:
                self._check_secret_place(kind, refs, path, flags)
        return value

    def _secret(self, kind: types.Type, value: Secret, path: Path, flags: frozenset[str]) -> Value:
        if value.is_plain and value.is_resolved and not any(is_secret(member) for member in members(kind)):
            return self.value(kind, value.reveal(), path, flags)
        if "plain" in flags and any(isinstance(member, types.StrType) for member in members(kind)):
            return self._in_clear(kind, value, path, flags)
        if "argv" not in flags and value.parts == value.refs[:1] and takes_scalar(kind):
            return self._from_environment(kind, value, path, flags)
        self._check_secret_place(kind, value.refs, path, flags)
        return value

    def _in_clear(self, kind: types.Type, value: Secret, path: Path, flags: frozenset[str]) -> Value:
        """Where the plugin says that nothing is secret, what a variable holds is plain text."""
        if not value.is_resolved and self._env is None:
            self.waiting = True
            return value
        parts = (
            self._env(part) if self._env and isinstance(part, SecretRef) else str(part)
            for part in value.parts
        )
        text = value.reveal() if value.is_resolved else "".join(parts)
        return self.value(kind, text, path, flags)

    def _check_secret_place(
        self, kind: types.Type, refs: Sequence[SecretRef], path: Path, flags: frozenset[str]
    ) -> None:
        name = str(refs[0]) if refs else "this"
        if "argv" in flags and refs:
            hint = "hand it over by `env:` (an environment variable of the command) or on its standard input"
            self._wrong(path, f"ends up on a command line, and {name} is a secret", hint, "secret-in-argv")
        elif not any(holds_secret(member) for member in members(kind)):
            hint = "the plugin cannot keep it secret here"
            if refs and refs[0].source == "env":
                hint = f'if it is no secret, write env("{refs[0].key}", secret=false)'
            self._wrong(
                path, f"takes {expected(kind)} in clear, and {name} is a secret", hint, "secret-in-clear"
            )

    def _from_environment(self, kind: types.Type, value: Secret, path: Path, flags: frozenset[str]) -> Value:
        """Where a number or boolean is wanted, what a variable holds is plain, and converted."""
        if not value.is_resolved and self._env is None:
            self.waiting = True
            return value
        text = value.reveal() if value.is_resolved else self._env(value.refs[0])  # type: ignore[misc]  # not None here
        for convert in conversions(kind):
            with suppress(ValueError, KeyError):
                return self.value(kind, convert(text.strip()), path, flags)
        self._wrong(path, f"takes {expected(kind)}, and {value.refs[0]} holds something else")
        return Secret(value.parts, text)

    # containers

    def _struct(self, kind: types.StructType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if not isinstance(value, dict):
            return self._mismatch(kind, value, path, flags)
        fields = {field.encode_name: field for field in kind.fields}
        checked = {}
        for key, item in value.items():
            field = fields.get(key)
            checked[key] = self.value(field.type, item, (*path, key), flags) if field else item
            if field is None and key != kind.tag_field:
                self._unknown_key(str(key), path, fields)
        for name, field in fields.items():
            if field.required and name not in value:
                self._wrong((*path, name), "is missing", code="option-missing")
        return checked

    def _unknown_key(self, key: str, path: Path, valid: Mapping[str, object]) -> None:
        hint = self._proposals.nearest(key, valid) or (
            f"there are: {', '.join(valid)}" if valid else "there are no options here"
        )
        self.problems.append(
            Problem((*path, key), f'there is no option "{format_path((*path, key))}"', "option-unknown", hint)
        )

    def _dict(self, kind: types.DictType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if not isinstance(value, dict):
            return self._mismatch(kind, value, path, flags)
        self._check_length(kind, len(value), path, "entry", "entries")
        checked = {}
        for key, item in value.items():
            self.value(kind.key_type, key, (*path, key))
            checked[key] = self.value(kind.value_type, item, (*path, key), flags)
        return checked

    def _list(self, kind: Any, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if not isinstance(value, list | tuple):
            return self._mismatch(kind, value, path, flags)
        if isinstance(kind, types.TupleType):
            return self._tuple(kind, value, path, flags)
        self._check_length(kind, len(value), path, "item", "items")
        return [self.value(kind.item_type, item, (*path, index), flags) for index, item in enumerate(value)]

    def _tuple(
        self, kind: types.TupleType, value: Sequence[Value], path: Path, flags: frozenset[str]
    ) -> Value:
        if len(value) != len(kind.item_types):
            self._wrong(path, f"takes {len(kind.item_types)} items, not {len(value)}")
            return value
        pairs = enumerate(zip(kind.item_types, value, strict=True))
        return [self.value(item_type, item, (*path, index), flags) for index, (item_type, item) in pairs]

    def _union(self, kind: types.UnionType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if isinstance(value, dict) and any(isinstance(member, types.StructType) for member in members(kind)):
            return self._tagged(kind, value, path, flags)
        attempts = []
        for member in kind.types:
            if not same_shape(unwrap(member)[0], value):
                continue
            attempt = Walk(self._env, keep_words=self._keep_words)
            checked = attempt.value(member, value, path, flags)
            if not attempt.failed:
                return self._adopt(attempt, checked)
            attempts.append((attempt, checked))
        if not attempts:
            return self._mismatch(kind, value, path, flags)
        return self._adopt(*attempts[0])

    def _tagged(
        self, kind: types.UnionType, value: dict[str, Value], path: Path, flags: frozenset[str]
    ) -> Value:
        """Choose among Structs by their tag, as msgspec does."""
        structs = [member for member in members(kind) if isinstance(member, types.StructType)]
        field = structs[0].tag_field
        if len(structs) == 1 or field is None:
            return self.value(structs[0], value, path, flags)
        tags = {struct.tag: struct for struct in structs}
        if isinstance(value.get(field), _WAITING):
            self.waiting = True
            return value
        chosen = tags.get(value.get(field))
        if chosen is None:
            self._choice(list(tags), value.get(field), (*path, field), flags)
            return value
        return self.value(chosen, value, path, flags)

    def _adopt(self, attempt: Walk, checked: Value) -> Value:
        self.problems.extend(attempt.problems)
        self.waiting = self.waiting or attempt.waiting
        return checked

    def _check_length(self, kind: Any, length: int, path: Path, one: str, many: str) -> None:
        if kind.min_length is not None and length < kind.min_length:
            self._wrong(
                path,
                f"takes at least {kind.min_length} {one if kind.min_length == 1 else many}, not {length}",
            )
        if kind.max_length is not None and length > kind.max_length:
            self._wrong(
                path, f"takes at most {kind.max_length} {one if kind.max_length == 1 else many}, not {length}"
            )

    # scalars

    def _mismatch(self, kind: types.Type, value: Value, path: Path, flags: frozenset[str]) -> Value:
        hint = ""
        wants_text = any(isinstance(m, types.StrType) or is_secret(m) for m in members(kind))
        if wants_text and isinstance(value, int | float):
            hint = "put it in quotes"
        elif takes_scalar(kind) and isinstance(value, str):
            hint = "leave out the quotes" if reads_as(kind, value) else ""
        self._wrong(path, f"takes {expected(kind)}, not {shown(value, flags)}", hint, "option-type")
        return value

    def _str(self, kind: types.StrType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if not isinstance(value, str):
            return self._mismatch(kind, value, path, flags)
        self._check_length(kind, len(value), path, "character", "characters")
        if kind.pattern is not None and not re.search(kind.pattern, value):
            self._wrong(path, f"is {shown(value, flags)}, which does not match the pattern {kind.pattern}")
        return value

    def _bool(self, kind: types.BoolType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if isinstance(value, bool):
            return value
        if not isinstance(value, str) or value.casefold() not in BOOLEANS:
            return self._mismatch(kind, value, path, flags)
        meant = BOOLEANS[value.casefold()]
        self.problems.append(
            Problem(
                path,
                f'"{format_path(path)}" is the text "{value}", taken as {str(meant).lower()}',
                "text-as-boolean",
                f"write {str(meant).lower()}",
                Severity.WARNING,
            )
        )
        return value if self._keep_words else meant

    def _number(self, kind: Any, value: Value, path: Path, flags: frozenset[str]) -> Value:
        wanted = int if isinstance(kind, types.IntType) else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            return self._mismatch(kind, value, path, flags)
        for word, holds in bounds(kind, value):
            if not holds:
                self._wrong(path, f"must be {word}, not {literal(value)}")
        return value

    def _choice(self, valid: Sequence[Any], value: Value, path: Path, flags: frozenset[str]) -> Value:
        if any(value == item and type(value) is type(item) for item in valid):
            return value
        hint = (
            nearest(value, [item for item in valid if isinstance(item, str)])
            if isinstance(value, str)
            else ""
        )
        found = "is missing" if value is None else f"is {shown(value, flags)}"
        self._wrong(path, f"{found}; it takes one of {choices(valid)}", hint, "option-choice")
        return value

    def _enum(self, kind: types.EnumType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        return self._choice([member.value for member in kind.cls], value, path, flags)

    def _literal(self, kind: types.LiteralType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        return self._choice(list(kind.values), value, path, flags)

    def _none(self, kind: types.NoneType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        return None if value is None else self._mismatch(kind, value, path, flags)

    def _any(self, kind: types.AnyType, value: Value, path: Path, flags: frozenset[str]) -> Value:  # noqa: ARG002
        if flags & {"secret", "argv"}:
            return self._inside_any(value, path, flags)
        return value

    def _inside_any(self, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if "argv" in flags:
            for leaf in _secrets_in(value):
                self._check_secret_place(types.AnyType(), leaf.refs, path, flags)
        return _literal_secrets(value, path) if "secret" in flags else value

    def _custom(self, kind: types.CustomType, value: Value, path: Path, flags: frozenset[str]) -> Value:
        if not is_secret(kind):
            return value
        if not isinstance(value, str):
            return self._mismatch(kind, value, path, flags | {"secret"})
        return _literal_secret(value, path) if "secret" in flags else value

    _CHECKS: ClassVar[Mapping[type[types.Type], Callable[..., Value]]] = MappingProxyType(
        {
            types.StructType: _struct,
            types.DictType: _dict,
            **dict.fromkeys(LISTS, _list),
            types.UnionType: _union,
            types.StrType: _str,
            types.BoolType: _bool,
            types.IntType: _number,
            types.FloatType: _number,
            types.EnumType: _enum,
            types.LiteralType: _literal,
            types.NoneType: _none,
            types.AnyType: _any,
            types.CustomType: _custom,
        }
    )


def _literal_secret(leaf: Value, path: Path) -> Value:
    """Text written in clear where a secret belongs is kept like one: compared by fingerprint, never recorded."""
    return Secret((SecretRef("literal", format_path(path)),), leaf) if isinstance(leaf, str) else leaf


def _literal_secrets(value: Value, path: Path) -> Value:
    """Do the same for all text in a tree, each under its own path."""
    if isinstance(value, dict):
        return {key: _literal_secrets(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal_secrets(item, (*path, index)) for index, item in enumerate(value)]
    return _literal_secret(value, path)


def _secrets_in(value: Value) -> list[Secret]:
    found: list[Secret] = []
    map_leaves(value, lambda leaf: found.append(leaf) if isinstance(leaf, Secret) else None)
    return found
