"""Options against a tool's schema: check them, prepare them for planning, convert them for the hooks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect as types

from devstream.errors import Diagnostic, OperationError, PluginError, Severity
from devstream.model.schema import WrongOption
from devstream.model.values import Secret, format_path
from devstream.plugins.wording import holds_secret, is_secret, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path, SecretRef, Value
    from devstream.plugins.fields import Problem, Walk

__all__ = ["OptionsSchema"]

_NO_FLAGS: frozenset[str] = frozenset()
_PLACE = re.compile(r" - at `(?:key in )?\$(.*)`$")
_STEP = re.compile(r"\[(\d+)\]|\.([^.\[]+)")


class OptionsSchema:
    """The options of one tool, as its msgspec Struct describes them.

    Args:
        struct: the Struct.
        owner: the plugin, for messages.

    Raises:
        PluginError: the Struct has types that options cannot have.
    """

    def __init__(self, struct: type[msgspec.Struct], owner: str) -> None:
        self.struct = struct
        self._type = _described(struct, owner)
        _refuse_unsupported(self._type, owner)
        self._names = {field.encode_name for field in self._type.fields}
        # One call of msgspec answers for the whole where it is as strict as the walk.
        self._quick = not any(_needs_walk(kind, flags) for kind, flags in _all_types(self._type, self._type))
        self._flags: dict[Path, frozenset[str]] = {}

    @property
    def type(self) -> types.StructType:
        """The Struct, as `msgspec.inspect` describes it."""
        return self._type

    def check(self, instance: ToolInstance) -> list[Diagnostic]:
        """List every mistake in an instance's options, as far as their values are known."""
        options = dict(instance.options)
        if self._converted(options) is not None:
            return []
        problems, _ = self._walked(options)
        return [_diagnostic(problem, instance) for problem in problems]

    def prepare(self, options: dict[str, Value], env: Callable[[SecretRef], str] | None) -> dict[str, Value]:
        """Bring options into the form they are compared and recorded in. What is wrong with them is for `check`.

        Args:
            options: as expanded.
            env: gives the text of an environment variable, for numbers and booleans; None: leave those.
        """
        if self._converted(options) is not None:
            return options
        prepared: dict[str, Value] = _walk(env, keep_words=True).value(self._type, options)
        return prepared

    def convert(self, options: Mapping[str, Value]) -> msgspec.Struct:
        """Make the Struct of options whose references and secrets are resolved.

        Raises:
            OperationError: they do not fit; every mistake is named.
        """
        plain = dict(options)
        struct = self._converted(plain)
        if struct is not None:
            return struct
        walk = _walk()
        plain = walk.value(self._type, plain)
        problems = [problem for problem in walk.problems if problem.severity is Severity.ERROR]
        if not problems:
            try:
                return msgspec.convert(plain, self.struct, dec_hook=_secret_of)
            except (msgspec.ValidationError, TypeError) as error:
                problems = [_problem_of(error)]
        first, *rest = [f"{problem.summary}{_hint(problem)}" for problem in problems]
        raise OperationError(first, code=problems[0].code, detail="\n".join(rest))

    def flags(self, path: Path) -> frozenset[str]:
        """Give the flags of `option` that hold at a path, those of the containers around it included."""
        general = tuple(0 if isinstance(step, int) else step for step in path)
        known = self._flags.get(general)
        if known is None:
            known = self._flags[general] = _flags_below(self._type, general, _NO_FLAGS)
        return known

    def _converted(self, options: dict[str, Value]) -> msgspec.Struct | None:
        """Convert in one call; None where only the walk can tell."""
        if not self._quick or not options.keys() <= self._names:
            return None
        try:
            return msgspec.convert(options, self.struct, dec_hook=_secret_of)
        except (msgspec.ValidationError, TypeError):
            return None

    def _walked(self, options: dict[str, Value]) -> tuple[list[Problem], Value]:
        walk = _walk()
        checked = walk.value(self._type, options)
        if not walk.failed and not walk.waiting:
            # What is left is what only the Struct itself knows: its __post_init__.
            try:
                msgspec.convert(checked, self.struct, dec_hook=_secret_of)
            except (msgspec.ValidationError, TypeError) as error:
                walk.problems.append(_problem_of(error))
        return walk.problems, checked


def _walk(env: Callable[[SecretRef], str] | None = None, *, keep_words: bool = False) -> Walk:
    """Start a walk; it is imported here, since most options never need one."""
    from devstream.plugins.fields import Walk

    return Walk(env, keep_words=keep_words)


def _described(struct: type[msgspec.Struct], owner: str) -> types.StructType:
    try:
        described = types.type_info(struct)
    except Exception as error:
        message = f"the options of {owner} cannot be understood: {type(error).__name__}: {error}"
        raise PluginError(message, code="bad-schema") from error
    if not isinstance(described, types.StructType):
        message = f"the options of {owner} are described by {struct!r}, which is no msgspec Struct"
        raise PluginError(message, code="bad-schema")
    return described


def _refuse_unsupported(described: types.StructType, owner: str) -> None:
    for kind, flags in _all_types(described, described):
        if isinstance(kind, types.CustomType) and not is_secret(kind):
            message = (
                f"the options of {owner} use the type {kind.cls.__qualname__}, which YAML cannot express"
            )
            raise PluginError(message, code="bad-schema")
        if "secret" in flags and isinstance(kind, types.StrType):
            message = f"an option of {owner} is marked secret=True, and its type is str"
            raise PluginError(message, code="bad-schema", suggestion="use the type Secret of devstream.api")


def _all_types(kind: types.Type, root: types.StructType) -> Iterator[tuple[types.Type, frozenset[str]]]:
    """Yield every type in a tree of types with its flags; recursive Structs only once."""
    seen: set[tuple[int, frozenset[str]]] = set()
    waiting: list[tuple[types.Type, frozenset[str]]] = [(kind, _NO_FLAGS)]
    while waiting:
        current, flags = unwrap(*waiting.pop())
        if isinstance(current, types.StructType):
            if (id(current), flags) in seen:
                continue
            seen.add((id(current), flags))
        if current is not root:
            yield current, flags
        waiting.extend((child, flags) for child in _children(current))


def _children(kind: Any) -> list[types.Type]:
    if isinstance(kind, types.StructType):
        return [field.type for field in kind.fields]
    if isinstance(kind, types.UnionType):
        return list(kind.types)
    if isinstance(kind, types.DictType):
        # Keys are text in any config; what they may be says nothing about secrets.
        return [kind.value_type]
    if isinstance(kind, types.TupleType):
        return list(kind.item_types)
    item: types.Type | None = getattr(kind, "item_type", None)
    return [] if item is None else [item]


def _needs_walk(kind: types.Type, flags: frozenset[str]) -> bool:
    """Tell what msgspec would let pass: unknown keys further down, text and secrets at flagged options."""
    if isinstance(kind, types.StructType) and not kind.forbid_unknown_fields:
        return True
    return "secret" in flags or ("argv" in flags and holds_secret(kind))


def _flags_below(kind: types.Type, path: Path, flags: frozenset[str]) -> frozenset[str]:
    kind, flags = unwrap(kind, flags)
    if not path:
        return flags
    found = flags
    for member in kind.types if isinstance(kind, types.UnionType) else (kind,):
        inner, own = unwrap(member, flags)
        child = _child_at(inner, path[0])
        if child is not None:
            found |= _flags_below(child, path[1:], own)
    return found


def _child_at(kind: Any, step: str | int) -> types.Type | None:
    if isinstance(kind, types.StructType):
        return next((field.type for field in kind.fields if field.encode_name == step), None)
    children = _children(kind)
    return children[0] if children else None


def _secret_of(wanted: type, value: object) -> object:
    if isinstance(value, wanted):
        return value
    if wanted is Secret and isinstance(value, str):
        return Secret.plain(value)
    message = f"Expected text, got {type(value).__name__}"
    raise ValueError(message)


def _problem_of(error: Exception) -> Problem:
    """Turn msgspec's message into ours: the path apart, the rest as it was written."""
    from devstream.plugins.fields import Problem

    message = str(error)
    place = _PLACE.search(message)
    path: list[str | int] = []
    for index, name in _STEP.findall(place[1]) if place else ():
        path.append(int(index) if index else name)
    summary, suggestion = _PLACE.sub("", message), ""
    cause = error.__cause__
    if isinstance(cause, WrongOption):
        path += [int(step) if step.isdigit() else step for step in cause.option.split(".")]
        suggestion = cause.suggestion
    if path:
        summary = f'"{format_path(tuple(path))}": {summary}'
    return Problem(tuple(path), summary, "option-value", suggestion)


def _hint(problem: Problem) -> str:
    return f" ({problem.suggestion})" if problem.suggestion else ""


def _diagnostic(problem: Problem, instance: ToolInstance) -> Diagnostic:
    origin = instance.origins.at(problem.path) or instance.origin
    return Diagnostic(
        problem.summary,
        problem.code,
        severity=problem.severity,
        detail=f"by way of {', '.join(origin.trail)}" if origin.trail else "",
        mark=(origin.key if problem.code == "option-unknown" else None)
        or origin.mark
        or instance.origin.mark,
        address=str(instance.address),
        suggestion=problem.suggestion,
    )
