"""Render trees: templates become values, secrets, references, or UNKNOWN.

Variables resolve through each other lazily, in any order. Every mistake is collected, with its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.joining import LARGEST_TOTAL, LARGEST_VALUE, TooDeep, TooLarge, copied, joined, measure
from devstream.config.refusals import Missing, Place, Refusal, no_key
from devstream.config.scalars import typed
from devstream.config.scan import RAW_HINT
from devstream.config.tree import Env, Map, Name, Ref, Seq, Template, Text
from devstream.errors import Diagnostic, Proposals, Severity
from devstream.model.recorded import parse_reference
from devstream.model.values import Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.config.expressions import Expressions
    from devstream.config.tree import Node, Part, Source
    from devstream.model.values import Value

__all__ = ["Scope", "render"]

MOST_STEPS = 32
"""How many variables may stand between a value and the last one it depends on."""


class _Step(NamedTuple):
    """A variable that is being rendered, whose it is, and the place that asked for it."""

    scope: Scope
    path: tuple[str, ...]
    place: Place


class _Shared:
    """What a scope and all scopes made from it have in common."""

    def __init__(self, env: Callable[[str], str | None], *, offline: bool) -> None:
        self.env = env
        self.offline = offline
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.steps: list[_Step] = []
        self.total = 0
        self.proposals = Proposals()
        self._seen: set[Diagnostic] = set()
        self._expressions: Expressions | None = None

    @property
    def expressions(self) -> Expressions:
        """What evaluates expressions; it comes with a large library, hence only where one is met."""
        if self._expressions is None:
            from devstream.config.expressions import Expressions

            self._expressions = Expressions()
        return self._expressions

    def add(self, diagnostic: Diagnostic) -> None:
        """Report something once, however often it is met."""
        if diagnostic not in self._seen:
            self._seen.add(diagnostic)
            (self.errors if diagnostic.severity is Severity.ERROR else self.warnings).append(diagnostic)


class _Failed:
    """Remembered for a variable whose mistakes have been reported."""


_FAILED = _Failed()


class Scope:
    """The names that templates may use.

    Args:
        variables: per name a node (rendered when first used, in this scope), a rendered value, a `Text` from
            outside the files, or a secret.
        env: gives an environment variable, None where it is not set.
        offline: an unset environment variable is UNKNOWN with a warning instead of an error.

    Attributes:
        errors: every mistake found while rendering; shared with the scopes made by `extend`.
        warnings: the same.
    """

    def __init__(
        self, variables: Mapping[str, Any], env: Callable[[str], str | None], *, offline: bool = False
    ) -> None:
        self._variables = variables
        self._shared = _Shared(env, offline=offline)
        self._outer: Scope | None = None
        self._names = frozenset(variables)
        self._values: dict[tuple[str, ...], Value | _Failed] = {}

    @property
    def errors(self) -> list[Diagnostic]:
        """Every mistake found while rendering, each once."""
        return self._shared.errors

    @property
    def warnings(self) -> list[Diagnostic]:
        """Every warning found while rendering, each once."""
        return self._shared.warnings

    @property
    def names(self) -> frozenset[str]:
        """All variables, those of outer scopes too."""
        return self._names

    def extend(self, variables: Mapping[str, Any]) -> Scope:
        """Give a scope with more names, which win over this one's.

        Nodes among them are rendered in *this* scope, so that ``name: "[[ name ]]-x"`` means the outer name.
        """
        inner = Scope(variables, self._shared.env, offline=self._shared.offline)
        inner._shared = self._shared
        inner._outer = self
        inner._names |= self._names
        return inner

    def lookup(self, path: tuple[str, ...], place: Place) -> Value:
        """Give the value of a variable, or of something in it.

        Raises:
            Missing: there is none.
            Refusal: it cannot be rendered, or refers to itself.
        """
        name = path[0]
        if name in self._variables:
            return self._own(path, place)
        if self._outer is None or name not in self._outer.names:
            raise _unknown(name, self.names, place)
        return self._outer.lookup(path, place)

    def _own(self, path: tuple[str, ...], place: Place) -> Value:
        """Look up a variable of this very scope; only what the path leads to is rendered, where that is possible."""
        node = self._variables[path[0]]
        for index in range(1, len(path)):
            if not isinstance(node, Map) or node.templates:
                return _descend(self._value(path[:index], node, place), path, index, place)
            if path[index] not in node:
                raise _no_key(path, index, node, place)
            node = node[path[index]]
        return self._value(path, node, place)

    def _value(self, path: tuple[str, ...], node: Any, place: Place) -> Value:
        """Render a variable, or a part of one, the first time it is asked for."""
        if path not in self._values:
            self._values[path] = self._first_value(path, node, place)
        value = self._values[path]
        if value is _FAILED:
            raise Refusal(None)
        return value

    def _first_value(self, path: tuple[str, ...], node: Any, place: Place) -> Value | _Failed:
        shared = self._shared
        step = _Step(self, path, place)
        _check_steps(shared.steps, step)
        shared.steps.append(step)
        try:
            before = len(shared.errors)
            value = _node(node, self._outer or self)
            return value if len(shared.errors) == before else _FAILED
        finally:
            shared.steps.pop()

    def environment(self, variable: str, place: Place) -> str:
        """Give an environment variable.

        Raises:
            Missing: it is not set, or empty.
        """
        text = self._shared.env(variable)
        if text:
            return text
        summary = f"the environment variable {variable} is not set" + ("" if text is None else " to anything")
        missing = Missing.at(place, summary, "unset-variable", f"export {variable}=...")
        missing.unset = variable
        raise missing

    def part(self, part: Part, source: Source) -> Value:
        """Give the value of one part of a template.

        Raises:
            Refusal: there is none.
        """
        if isinstance(part, str):
            return part
        place = Place(source, part.offset)
        if isinstance(part, Name):
            return self.lookup(part.path, place)
        if isinstance(part, Env):
            self.environment(part.variable, place)
            return Secret((SecretRef("env", part.variable),))
        if isinstance(part, Ref):
            return parse_reference(part.text, ())
        return self._shared.expressions.evaluate(part, place, self)

    def attempt(self, part: Part, source: Source) -> Value:
        """Give the value of one part of a template; None of the mistakes in it is raised, all are reported."""
        shared = self._shared
        try:
            return self.part(part, source)
        except Refusal as refusal:
            missing = refusal if isinstance(refusal, Missing) else None
            diagnostic = missing.told(shared.proposals) if missing else refusal.diagnostic
            if diagnostic is None:
                return Unknown("an error")
            unset = missing.unset if missing else ""
            if unset and shared.offline:
                shared.add(_as_warning(diagnostic))
                return Unknown(f"{unset} is not set")
            shared.add(diagnostic)
            return Unknown("an error")

    def refuse(self, place: Place, summary: str, code: str, suggestion: str = "") -> Unknown:
        """Report a mistake and give what stands in the place of the value."""
        mark = place.source.mark(place.offset)
        self._shared.add(Diagnostic(summary, code, mark=mark, suggestion=suggestion))
        return Unknown("an error")

    def account(self, size: int) -> None:
        """Add to the size of all rendered values.

        Raises:
            TooLarge: they are too large together.
        """
        self._shared.total += size
        if self._shared.total > LARGEST_TOTAL:
            message = f"all rendered values together are larger than {LARGEST_TOTAL // 1024**2} MiB"
            raise TooLarge(message)


def render(node: Node | Any, scope: Scope) -> Value:
    """Render a tree into plain dicts and lists that share nothing with it.

    Mistakes are collected in ``scope.errors``; an `Unknown` stands in their places. Mappings and lists that are
    no `Map` and `Seq`, and values that are rendered already, may be among the nodes.
    """
    return _node(node, scope)


def _node(node: Any, scope: Scope) -> Value:
    kind = type(node)
    if kind is str:
        return node
    if kind is Template:
        return _leaf(node, scope)
    if kind is Map:
        return _mapping(node, scope)
    if kind is Seq or kind is list:
        return [_node(item, scope) for item in node]
    if kind is dict:
        return {key: _node(item, scope) for key, item in node.items()}
    return node


def _mapping(node: Map, scope: Scope) -> dict[str, Value]:
    if not node.templates:
        return {key: _node(item, scope) for key, item in node.items()}
    result: dict[str, Value] = {}
    offsets: dict[str, int] = {}
    for key, item in node.items():
        offset = node.marks[key][0]
        text = _key(key, node.templates[key], scope) if key in node.templates else key
        if text in result:
            first = node.source.mark(offsets[text])
            place = Place(node.source, offset)
            scope.refuse(place, f'the key "{text}" is there twice', "duplicate-key", f"first at {first}")
        result[text] = _node(item, scope)
        offsets[text] = offset
    return result


def _key(written: str, template: Template, scope: Scope) -> str:
    """Render a key; where that fails, or is not possible yet, it stays as written."""
    value = _leaf(template, scope)
    if isinstance(value, str):
        return value
    if not isinstance(value, Unknown):
        place = Place(template.source, template.offset)
        scope.refuse(place, "a key cannot hold a secret or the output of a tool", "key")
    return written


def _leaf(template: Template, scope: Scope) -> Value:
    source = template.source
    try:
        values = [scope.attempt(part, source) for part in template.parts]
        value = _whole(values[0]) if template.typed else joined(values)
        scope.account(len(value) if type(value) is str else measure(value))
        return copied(value) if isinstance(value, dict | list) else value
    except TooLarge as error:
        summary = str(error) or f"the rendered value is larger than {LARGEST_VALUE // 1024**2} MiB"
    except (TooDeep, RecursionError):
        summary = "the rendered value is nested too deeply"
    except ValueError as error:
        summary = str(error)
    return scope.refuse(Place(source, template.offset), summary, "template")


def _whole(value: Value) -> Value:
    """Give the value of an expression that is the whole leaf: text from outside gets its type here."""
    return typed(str(value)) if isinstance(value, Text) else value


def _descend(value: Value, path: tuple[str, ...], index: int, place: Place) -> Value:
    """Follow a path from ``index`` on into a rendered value."""
    for at in range(index, len(path)):
        if isinstance(value, Unknown):
            return value
        if not isinstance(value, dict):
            summary = f'"{".".join(path[:at])}" is not a mapping and has no "{path[at]}"'
            raise Refusal.at(place, summary, "unknown-variable")
        if path[at] not in value:
            raise _no_key(path, at, value, place)
        value = value[path[at]]
    return value


def _unknown(name: str, names: frozenset[str], place: Place) -> Missing:
    suggestion = f"add it to vars; {RAW_HINT}"
    missing = Missing.at(place, f'unknown variable "{name}"', "unknown-variable", suggestion)
    missing.wanted, missing.among, missing.aside = name, names, RAW_HINT
    return missing


def _no_key(path: tuple[str, ...], index: int, value: Mapping[str, Any], place: Place) -> Missing:
    summary = f'the variable "{".".join(path[:index])}" has no "{path[index]}"'
    return no_key(place, summary, path[index], value)


def _as_warning(diagnostic: Diagnostic) -> Diagnostic:
    summary = f"{diagnostic.summary}; the value is not known"
    return Diagnostic(
        summary, diagnostic.code, Severity.WARNING, mark=diagnostic.mark, suggestion=diagnostic.suggestion
    )


def _check_steps(steps: list[_Step], step: _Step) -> None:
    """Refuse circles, and chains so long that they were made to be."""
    if len(steps) >= MOST_STEPS:
        summary = f"variables refer to each other over more than {MOST_STEPS} steps"
        raise Refusal.at(step.place, summary, "limit")
    begin = next((at for at, earlier in enumerate(steps) if earlier[:2] == step[:2]), None)
    if begin is None:
        return
    circle = [*steps[begin:], step]
    names = [".".join(member.path) for member in circle]
    detail = "\n".join(
        f'{member.place}: "{before}" needs "{name}"'
        for before, name, member in zip(names, names[1:], circle[1:], strict=False)
    )
    place = circle[1].place
    raise Refusal.at(
        place, f"variables need each other in a circle: {' -> '.join(names)}", "cycle", detail=detail
    )
