"""The global variables: which source gives each its value, and the scope that templates see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.origins import VariablePlace
from devstream.config.scan import LONGEST
from devstream.config.template import Scope, render
from devstream.config.tree import Name, Template, Text
from devstream.errors import Diagnostic, Severity, nearest
from devstream.model.values import Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devstream.config.check import Problems
    from devstream.config.tree import Map, Source

__all__ = ["ENV_PREFIX", "Variables", "global_variables", "variable_values"]

ENV_PREFIX = "DEVSTREAM_VAR_"
"""An environment variable ``DEVSTREAM_VAR_x`` gives the variable ``x`` another value."""

_ENV_SECRET = "env:"  # noqa: S105 - how a secret is named, not one


class Variables(NamedTuple):
    """Names that templates may use: the scope that renders them, where each got its value, and as what."""

    scope: Scope
    places: Mapping[str, VariablePlace]
    values: Mapping[str, Any]

    def with_values(self, values: Mapping[str, Any], places: Mapping[str, VariablePlace]) -> Variables:
        """Give these names with more on top, which win."""
        return Variables(self.scope.extend(values), {**self.places, **places}, {**self.values, **values})


class _Sources(NamedTuple):
    values: dict[str, Any]
    places: dict[str, VariablePlace]

    def put(self, name: str, value: Any, place: VariablePlace) -> None:
        self.values[name] = value
        self.places[name] = place


def global_variables(
    *,
    declared: Mapping[str, Map],
    files: Iterable[Map],
    given: Mapping[str, str],
    env: Mapping[str, str],
    sources: Iterable[Source],
    problems: Problems,
) -> Variables:
    """Give the variables by precedence: ``--var`` over ``--var-file`` over ``DEVSTREAM_VAR_x`` over ``vars``.

    Args:
        declared: per name the ``vars`` mapping that holds it.
        files: the mappings of the ``--var-file`` files; a later one wins.
        given: the values of ``--var``; ``env:NAME`` makes a secret of the environment's NAME.
        env: the environment.
        sources: the files of the configuration, to tell whether a name of ``--var`` is used at all.
        problems: where mistakes go.
    """
    found = _Sources({}, {})
    for name, container in declared.items():
        found.put(name, container[name], VariablePlace(f"vars.{name}", container, name, found.places))
    used = {name: value for name, value in _from_env(env).items() if _is_known(name, found.values, sources)}
    for name, text in used.items():
        found.put(name, Text(text), VariablePlace(f"{ENV_PREFIX}{name}"))
    for container in files:
        for name in container:
            found.put(name, container[name], VariablePlace(f"vars.{name}", container, name, found.places))
    for name, text in given.items():
        if not _is_known(name, found.values, sources):
            problems.errors.append(_unknown(name, found.values))
        found.put(name, _given_value(name, text, problems), VariablePlace(f"--var {name}"))
    return Variables(Scope(found.values, problems.env, offline=problems.offline), found.places, found.values)


def _from_env(env: Mapping[str, str]) -> dict[str, str]:
    return {name[len(ENV_PREFIX) :]: value for name, value in env.items() if name.startswith(ENV_PREFIX)}


def _is_known(name: str, declared: Mapping[str, Any], sources: Iterable[Source]) -> bool:
    """Tell whether a variable is declared, or at least named by a template somewhere."""
    if name in declared:
        return True
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(
        _is_in_expression(source.text, *found.span())
        for source in sources
        for found in word.finditer(source.text)
    )


def _is_in_expression(text: str, start: int, end: int) -> bool:
    """Tell whether there is ``[[`` before and ``]]`` after on the line, as far away as they may be."""
    opened = text.rfind("[[", max(start - LONGEST, 0), start)
    closed = text.find("]]", end, end + LONGEST)
    return opened >= 0 and closed >= 0 and "\n" not in text[opened:closed]


def _unknown(name: str, declared: Iterable[str]) -> Diagnostic:
    return Diagnostic(
        f'--var {name}: there is no variable "{name}"',
        "unknown-variable",
        suggestion=nearest(name, declared) or "add it to vars, or use it in a template",
    )


def _given_value(name: str, text: str, problems: Problems) -> Text | Secret | Unknown:
    """Give the value of a ``--var``."""
    if not text.startswith(_ENV_SECRET):
        return Text(text)
    variable = text.removeprefix(_ENV_SECRET)
    if problems.env(variable):
        return Secret((SecretRef("env", variable),))
    summary = f"--var {name}: the environment variable {variable} is not set or empty"
    severity = Severity.WARNING if problems.offline else Severity.ERROR
    where = problems.warnings if problems.offline else problems.errors
    where.append(Diagnostic(summary, "unset-variable", severity))
    return Unknown(f"{variable} is not set")


def variable_values(variables: Variables) -> dict[str, Any]:
    """Give the value of every variable; mistakes, in those that nothing uses too, go to the scope."""
    return {
        name: variables.values[name] if place.container is None else render(_use_of(place), variables.scope)
        for name, place in variables.places.items()
    }


def _use_of(place: VariablePlace) -> Template:
    """Give what ``[[ name ]]`` would be at the place where a variable is written."""
    assert place.container is not None
    offset = place.container.marks[place.key][1]
    return Template((Name((place.key,), offset),), place.container.source, offset, typed=True)
