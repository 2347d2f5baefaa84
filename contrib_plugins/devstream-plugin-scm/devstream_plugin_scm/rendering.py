"""Rendering of templates: ``[[ name ]]`` as in DevStream, by jinja2, with an allow-list and limits.

Templates may come from others. What may stand in one is therefore listed: names, attributes and items of plain
data, literals, comparisons, ``~``, ``[% if %]`` and ``[% for %]``, and ten filters. Calls, arithmetic and
includes are refused, so that what a template costs is bounded by its size and the size of its variables.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from devstream.api import OperationError, Secret
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.sources import check_path, check_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from devstream_plugin_scm.sources import Tree

__all__ = ["Renderer", "Apart", "MAX_RENDERED"]

Apart: TypeAlias = "Callable[[Mapping[str, str]], Mapping[str, str]]"
"""Renders texts, by name."""

MAX_RENDERED = 1024 * 1024
MAX_LOOPS = 3
"""How deep ``for`` may nest: three loops over lists are plenty for a file, ten would never end."""

_STRUCTURE = ("Template", "Output", "TemplateData", "If", "For")
_VALUES = (
    "Name",
    "Const",
    "List",
    "Dict",
    "Pair",
    "Tuple",
    "Getattr",
    "Getitem",
    "CondExpr",
    "Concat",
    "Filter",
)
_LOGIC = ("Compare", "Operand", "And", "Or", "Not", "Test")
_ALLOWED = frozenset((*_STRUCTURE, *_VALUES, *_LOGIC))
_TESTS = frozenset({"defined", "undefined", "none", "string", "number", "sequence", "mapping", "boolean"})
_DELIMITERS = {
    "variable_start_string": "[[",
    "variable_end_string": "]]",
    "block_start_string": "[%",
    "block_end_string": "%]",
    "comment_start_string": "[#",
    "comment_end_string": "#]",
}
_EXPRESSION = re.compile(r"(\[\[|\[%)(.*?)(\]\]|%\])", re.DOTALL)
_LEADING_DOT = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<![\w\])"'.])\.(?=[A-Za-z_])""")


class Renderer:
    """Renders texts and trees with one set of variables.

    Args:
        variables: plain data.

    Raises:
        OperationError: a secret is among the variables: it would end up in a repository.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        _refuse_secrets(variables, "vars")
        self._variables = dict(variables)
        self._environment = _environment()

    def tree(self, tree: Tree, *, app_name: str, apart: Apart | None = None) -> Tree:
        """Render a scaffold: ``_app_name_`` in paths becomes the name; files ending in ``.tpl`` are rendered.

        Args:
            apart: renders texts by name elsewhere, for templates that are not to be trusted; by default here.

        Raises:
            OperationError: a template is wrong, or two files end up at one path.
        """
        targets = _targets(tree, app_name)
        texts = {path: _text(path, file) for path, file in tree.items() if path.endswith(".tpl")}
        done = (apart or self._here)(texts) if texts else {}
        return check_tree(
            {
                targets[path]: File(done[path].encode(), file.executable) if path in done else file
                for path, file in tree.items()
            }
        )

    def _here(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        return {name: self.text(text, name=name) for name, text in texts.items()}

    def text(self, text: str, *, name: str) -> str:
        """Render one text; ``name`` says in messages which.

        Raises:
            OperationError: it is wrong, uses what is not allowed or an unknown variable, or becomes too long.
        """
        from jinja2 import TemplateError, TemplateSyntaxError

        source = _EXPRESSION.sub(_without_leading_dots, text)
        try:
            parsed = self._environment.parse(source)
            _check(parsed, loops=0)
            return self._render(parsed)
        except TemplateSyntaxError as error:
            raise OperationError(f"{name}:{error.lineno}: {error.message}", suggestion=_ESCAPE) from error
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise OperationError(f"{name}: {error}", suggestion=_ESCAPE) from error

    def _render(self, parsed: nodes.Template) -> str:
        from jinja2 import Template

        code = self._environment.compile(parsed)
        template = Template.from_code(self._environment, code, self._environment.make_globals(None))
        pieces: list[str] = []
        size = 0
        for piece in template.generate(self._variables):
            size += len(piece)
            pieces.append(_within_limit(piece, size))
        return "".join(pieces)


_ESCAPE = '[[ "[[" ]] writes [[ itself'


def _targets(tree: Tree, app_name: str) -> dict[str, str]:
    """Say where each file of a template ends up."""
    targets: dict[str, str] = {}
    taken: set[str] = set()
    for path in tree:
        target = check_path(path.replace("_app_name_", app_name).removesuffix(".tpl"))
        if target in taken:
            message = f"two files of the template end up at {target}"
            raise OperationError(message)
        taken.add(target)
        targets[path] = target
    return targets


def _text(path: str, file: File) -> str:
    try:
        return file.content.decode()
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8"
        raise OperationError(message) from error


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        **_DELIMITERS,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        finalize=_value,
    )
    environment.globals.clear()
    allowed = {name: environment.filters[name] for name in ("default", "length", "first", "last", "trim")}
    environment.filters = {**allowed, **_own_filters()}
    environment.tests = {name: test for name, test in environment.tests.items() if name in _TESTS}
    return environment


def _value(value: Any) -> Any:
    """Give back what may be written out: data."""
    from jinja2 import Undefined

    if callable(value) and not isinstance(value, Undefined):
        message = "that is no value, and cannot be written"
        raise TypeError(message)
    return value


def _own_filters() -> dict[str, Any]:
    """Give the filters that could make much of little, or that jinja2 has otherwise."""
    return {
        "lower": lambda value: str(value).lower(),
        "upper": lambda value: str(value).upper(),
        "replace": _replace,
        "join": lambda values, between="": _bounded(str(between).join(map(str, values))),
        "tojson": lambda value: _bounded(json.dumps(value, ensure_ascii=False)),
    }


def _replace(value: object, old: str, new: str) -> str:
    text = str(value)
    _within_limit("", len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _bounded(text: str) -> str:
    return _within_limit(text, len(text))


def _within_limit(text: str, size: int) -> str:
    if size > MAX_RENDERED:
        message = f"a rendered file may have at most {MAX_RENDERED} characters"
        raise OperationError(message)
    return text


def _check(node: nodes.Node, *, loops: int) -> None:
    """Walk a parsed template against the allow-list.

    Raises:
        TemplateSyntaxError: something else stands in it.
    """
    from jinja2 import TemplateSyntaxError

    kind = type(node).__name__
    loops += kind == "For"
    if kind not in _ALLOWED or loops > MAX_LOOPS or getattr(node, "recursive", False):
        word = "a deeper for" if loops > MAX_LOOPS else kind.lower()
        message = f"{word} is not allowed in a template"
        raise TemplateSyntaxError(message, node.lineno)
    for child in node.iter_child_nodes():
        _check(child, loops=loops)


def _without_leading_dots(match: re.Match[str]) -> str:
    """Write Go's ``[[ .App.Name ]]`` as ``[[ App.Name ]]``, leaving quoted text alone."""
    start, expression, end = match.groups()
    return start + _LEADING_DOT.sub(lambda dot: dot.group(1) or "", expression) + end


def _refuse_secrets(value: object, path: str) -> None:
    if isinstance(value, Secret):
        message = f"{path} is a secret, and would be written into the repository in clear"
        raise OperationError(message, suggestion="hand it to the CI system instead")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_secrets(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_secrets(item, f"{path}[{number}]")
