"""Expressions between ``[[`` and ``]]`` that are more than a name: Jinja2's grammar, evaluated here.

Jinja2 parses; what it parsed is checked against an allow-list and then evaluated by walking it. No code is
generated, nothing of Python can be reached, every size is known before it is built, and secrets and references
stay what they are. There is no arithmetic, there are no calls but ``env(...)``, and no loops.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from devstream.config.filters import FILTERS, FilterError, filtered
from devstream.config.joining import TooDeep, TooLarge, holds_hidden, is_hidden, joined, measure, unknown_in
from devstream.config.refusals import Missing, Place, Refusal, no_key
from devstream.config.scan import RAW_HINT
from devstream.config.tree import Text
from devstream.errors import nearest
from devstream.model.values import Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment, TemplateSyntaxError

    from devstream.config.template import Scope
    from devstream.config.tree import Expression
    from devstream.model.values import Value

__all__ = ["Expressions"]

_LITERALS = ("Const", "List", "Dict", "Pair", "Neg")
_LOOKUPS = ("Name", "Getattr", "Getitem", "Call", "Keyword")
_OPERATIONS = ("Compare", "Operand", "And", "Or", "Not", "CondExpr", "Concat", "Filter")
_ALLOWED = frozenset((*_LITERALS, *_LOOKUPS, *_OPERATIONS))
_NAMES_OF_REFUSED = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Pos"), "arithmetic"),
    "Test": '"is" tests',
    "Slice": "slices",
    "Tuple": "tuples",
}
_HIDDEN_HINT = 'it can only be passed on or joined with ~; env("X", secret=false) reads plain text'


class Expressions:
    """Parses expressions, each text once, and evaluates them."""

    def __init__(self) -> None:
        self._parsed: dict[str, Any] = {}

    def evaluate(self, expression: Expression, place: Place, scope: Scope) -> Value:
        """Give the value of an expression.

        Raises:
            Refusal: it is not one, or has no value; ``place`` is used where columns inside it are not known.
        """
        try:
            return _Evaluation(expression, place, scope).value(self._node(expression.text))
        except _Mistake as mistake:
            where = _column(expression, place, mistake.column)
            raise Refusal.at(where, mistake.summary, "template", mistake.hint) from None

    def _node(self, text: str) -> Any:
        if text not in self._parsed:
            node = _parse(text)
            _check(node)
            self._parsed[text] = node
        return self._parsed[text]


class _Mistake(Exception):
    """Something is wrong at a column (from 0) of an expression's text."""

    def __init__(self, summary: str, column: int, hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.column = column
        self.hint = hint


def _column(expression: Expression, place: Place, column: int) -> Place:
    """Give the place of a column; the expression's own where quoting moved the columns."""
    return place if expression.start < 0 else Place(place.source, expression.start + column)


def _parse(text: str) -> Any:
    """Parse with Jinja2. In what it gives, ``lineno`` is the column: an expression has one line."""
    from jinja2 import Environment, TemplateSyntaxError
    from jinja2.lexer import TokenStream
    from jinja2.parser import Parser

    environment = Environment(autoescape=True)
    parser = Parser(environment, "", state="variable")
    tokens = _tokens(environment, text)
    try:
        parser.stream = TokenStream(environment.lexer.wrap(tokens), None, None)
        node = parser.parse_expression()
    except TemplateSyntaxError as error:
        at_end = "end of template" in str(error.message)
        raise _not_an_expression(error, len(text) if at_end else error.lineno) from None
    current = parser.stream.current
    if not parser.stream.eos:
        raise _Mistake(f'there is no operator before "{current.value}"', current.lineno, RAW_HINT)
    return node


def _tokens(environment: Environment, text: str) -> list[tuple[int, str, str]]:
    """Split an expression into Jinja2's tokens, each with its column where Jinja2 has the line."""
    from jinja2 import TemplateSyntaxError

    column = 0
    tokens: list[tuple[int, str, str]] = []
    try:
        for _, kind, written in environment.lexer.tokeniter(text, None, None, "variable"):
            tokens.append((column, kind, written))
            column += len(written)
    except TemplateSyntaxError as error:
        raise _not_an_expression(error, column) from None
    return tokens


def _not_an_expression(error: TemplateSyntaxError, column: int) -> _Mistake:
    message = str(error.message).rstrip(".").replace("end of template", "end of the expression")
    return _Mistake(f"not an expression: {message}", column, RAW_HINT)


def _check(node: Any) -> None:
    """Hold a parsed expression against the allow-list, before any of it is evaluated."""
    kind = type(node).__name__
    if kind not in _ALLOWED:
        name = _NAMES_OF_REFUSED.get(kind, kind)
        hint = (
            "a name with - in it cannot be used here"
            if kind == "Sub"
            else "prepare the value in vars or in a script"
        )
        raise _Mistake(f"{name} cannot be used in expressions", node.lineno, hint)
    if kind == "Call" and (type(node.node).__name__ != "Name" or node.node.name != "env"):
        raise _Mistake('only env("NAME") can be called', node.lineno)
    if kind == "Filter" and node.name not in FILTERS:
        hint = nearest(node.name, FILTERS) or f"there are {', '.join(sorted(FILTERS))}"
        raise _Mistake(f'there is no filter "{node.name}"', node.lineno, hint)
    if kind in ("Call", "Filter") and (node.dyn_args is not None or node.dyn_kwargs is not None):
        raise _Mistake("* and ** cannot be used in expressions", node.lineno)
    for child in node.iter_child_nodes():
        _check(child)


class _Evaluation:
    """Evaluates one expression in one scope."""

    def __init__(self, expression: Expression, place: Place, scope: Scope) -> None:
        self._expression = expression
        self._place = place
        self._scope = scope

    def value(self, node: Any) -> Value:
        """Give the value of a node of the parsed expression."""
        evaluate: Callable[[Any], Value] = getattr(self, f"_{type(node).__name__.lower()}")
        return evaluate(node)

    def _at(self, node: Any) -> Place:
        return _column(self._expression, self._place, node.lineno)

    def _const(self, node: Any) -> Value:
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise _Mistake("the number is too large", node.lineno)
        return node.value

    def _neg(self, node: Any) -> Value:
        value = self.value(node.node)
        if (
            type(node.node).__name__ != "Const"
            or isinstance(value, bool)
            or not isinstance(value, int | float)
        ):
            raise _Mistake("arithmetic cannot be used in expressions", node.lineno)
        return -value

    def _name(self, node: Any) -> Value:
        return self._scope.lookup((node.name,), self._at(node))

    def _getattr(self, node: Any) -> Value:
        path = _dotted(node)
        if path is not None:
            return self._scope.lookup(path, self._at(node))
        return self._item(self.value(node.node), node.attr, node)

    def _getitem(self, node: Any) -> Value:
        return self._item(self.value(node.node), self.value(node.arg), node)

    def _item(self, value: Value, key: Value, node: Any) -> Value:
        for either in (value, key):
            if isinstance(either, Unknown):
                return either
            self._visible(either, node)
        if isinstance(value, dict) and isinstance(key, str):
            if key in value:
                return value[key]
            raise no_key(self._at(node), f'there is no "{key}"', key, value)
        if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
            if -len(value) <= key < len(value):
                return value[key]
            summary = f"there is no item {key} in a list of {len(value)}"
            raise Missing.at(self._at(node), summary, "unknown-variable")
        raise _Mistake(f"{_kind(value)} has no items by {_kind(key)}", node.lineno)

    def _list(self, node: Any) -> Value:
        return self._sized([self.value(item) for item in node.items], node)

    def _dict(self, node: Any) -> Value:
        result: dict[str, Value] = {}
        for pair in node.items:
            key = self.value(pair.key)
            if not isinstance(key, str):
                raise _Mistake("a key must be text", pair.lineno)
            result[str(key)] = self.value(pair.value)
        return self._sized(result, node)

    def _concat(self, node: Any) -> Value:
        return self._sized(lambda: joined([self.value(item) for item in node.nodes]), node)

    def _condexpr(self, node: Any) -> Value:
        test = self._truth(node.test)
        if isinstance(test, Unknown):
            return test
        if test:
            return self.value(node.expr1)
        return "" if node.expr2 is None else self.value(node.expr2)

    def _and(self, node: Any) -> Value:
        left = self._truth(node.left)
        return self.value(node.right) if left is True else self._passed(left, node.left)

    def _or(self, node: Any) -> Value:
        left = self._truth(node.left)
        return self.value(node.right) if left is False else self._passed(left, node.left)

    def _passed(self, truth: bool | Unknown, node: Any) -> Value:
        return truth if isinstance(truth, Unknown) else self.value(node)

    def _not(self, node: Any) -> Value:
        truth = self._truth(node.node)
        return truth if isinstance(truth, Unknown) else not truth

    def _truth(self, node: Any) -> bool | Unknown:
        value = self.value(node)
        if isinstance(value, Unknown):
            return value
        self._visible(value, node)
        return bool(value)

    def _compare(self, node: Any) -> Value:
        left = self.value(node.expr)
        for operand in node.ops:
            right = self.value(operand.expr)
            unknown = unknown_in([left, right])
            if unknown is not None:
                return unknown
            result = self._compared(operand.op, left, right, node)
            if not result:
                return False
            left = right
        return True

    def _compared(self, sign: str, left: Value, right: Value, node: Any) -> bool:
        if holds_hidden(left) or holds_hidden(right):
            raise _Mistake(
                "a secret or the output of a tool cannot be compared", node.expr.lineno, _HIDDEN_HINT
            )
        try:
            return _COMPARISONS[sign](left, right)
        except TypeError:
            summary = f"{_kind(left)} and {_kind(right)} cannot be compared like this"
            raise _Mistake(summary, node.expr.lineno) from None

    def _filter(self, node: Any) -> Value:
        if node.name == "default":
            return self._default(node)
        value = self.value(node.node)
        arguments = [value, *(self.value(item) for item in self._arguments(node))]
        looks_inside = node.name not in ("first", "last", "length")
        for argument in arguments:
            unknown = unknown_in(argument) if looks_inside or isinstance(argument, Unknown) else None
            if unknown is not None:
                return unknown
            self._visible(argument, node)
        return self._sized(lambda: filtered(node.name, arguments), node, self._at(node))

    def _default(self, node: Any) -> Value:
        """``default(value)`` for what is missing; ``default(value, true)`` for what is empty, too."""
        arguments = self._arguments(node)
        if len(arguments) not in (0, 1, 2):
            raise _Mistake("default takes one or two values", node.lineno)
        try:
            value = self.value(node.node)
        except Missing:
            return self.value(arguments[0]) if arguments else ""
        if len(arguments) == 2 and not is_hidden(value) and not value and self.value(arguments[1]):
            return self.value(arguments[0])
        return value

    def _arguments(self, node: Any) -> list[Any]:
        if node.kwargs:
            raise _Mistake(f"{node.name} takes no named values", node.lineno)
        return list(node.args)

    def _call(self, node: Any) -> Value:
        """``env("NAME")``, and ``env("NAME", secret=false)`` for plain text."""
        named = {keyword.key: self.value(keyword.value) for keyword in node.kwargs}
        secret = named.pop("secret", True)
        names = [self.value(argument) for argument in node.args]
        if named or len(names) != 1 or not isinstance(secret, bool):
            raise _Mistake('write env("NAME") or env("NAME", secret=false)', node.lineno)
        if isinstance(names[0], Unknown):
            return names[0]
        if not isinstance(names[0], str):
            raise _Mistake("the name of an environment variable is text", node.lineno)
        variable = str(names[0])
        text = self._scope.environment(variable, self._at(node))
        return Secret((SecretRef("env", variable),)) if secret else Text(text)

    def _visible(self, value: Value, node: Any) -> None:
        if is_hidden(value):
            raise _Mistake(
                "a secret or the output of a tool cannot be looked into", node.lineno, _HIDDEN_HINT
            )

    def _sized(self, value: Any, node: Any, place: Place | None = None) -> Value:
        """Hold a value, or what a function builds, against the limits."""
        try:
            built = value() if callable(value) else value
            measure(built)
        except TooLarge:
            raise _Mistake("the value is larger than 1 MiB", node.lineno) from None
        except TooDeep:
            raise _Mistake("the value is nested too deeply", node.lineno) from None
        except FilterError as error:
            if error.missing and place is not None:
                raise Missing.at(place, str(error), "template") from None
            raise _Mistake(str(error), node.lineno) from None
        except ValueError as error:
            raise _Mistake(str(error), node.lineno) from None
        return built


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "lteq": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "gteq": lambda left, right: left >= right,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


def _dotted(node: Any) -> tuple[str, ...] | None:
    """Give ``a.b.c`` as a path; None where something else than names is among it."""
    steps: list[str] = []
    while type(node).__name__ == "Getattr":
        steps.append(node.attr)
        node = node.node
    return (node.name, *reversed(steps)) if type(node).__name__ == "Name" else None


def _kind(value: Value) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", dict: "a mapping", list: "a list"}
    return "null" if value is None else kinds.get(type(value), "text")
