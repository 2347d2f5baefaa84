"""Templates: DevStream's forms work, and what could read, run or cost too much is refused."""

from __future__ import annotations

from typing import Any

import pytest

from devstream.api import OperationError
from devstream_plugin_scm import rendering
from devstream_plugin_scm.rendering import Renderer

VARIABLES: dict[str, Any] = {
    "AppName": "hello",
    "Repo": {"Name": "hello", "Owner": "team"},
    "items": ["a", "b"],
    "empty": "",
    "port": 80,
    "text": "a.b .c",
    "on": True,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("[[ .AppName ]]", "hello"),
        ("[[AppName]]", "hello"),
        ("[[ .Repo.Name ]]/[[ Repo.Owner ]]", "hello/team"),
        ("[[ port ]]", "80"),
        ("[[ nothing | default('x') ]]", "x"),
        ("[[ .nothing | default('.x .y') ]]", ".x .y"),
        ("[[ text ]]", "a.b .c"),
        ("[[ items[0] ]] [[ items | last ]] [[ items | length ]]", "a b 2"),
        ("[[ items | join(', ') | upper ]]", "A, B"),
        ("[[ .AppName | replace('l', 'L') ]]", "heLLo"),
        ('[[ "[[" ]] x ]]', "[[ x ]]"),
        ('[[ "ü\\"" | tojson ]]', '"ü\\""'),
        ("${{ secrets.TOKEN }} {{ x }} {% y %} {# z #}", "${{ secrets.TOKEN }} {{ x }} {% y %} {# z #}"),
        ("[% if .on and port >= 80 %]yes[% else %]no[% endif %]", "yes"),
        ("[% for item in .items %][[ item ]][[ loop.index ]][% endfor %]", "a1b2"),
        ("a\n  [% if on %]\nb\n  [% endif %]\nc\n", "a\nb\nc\n"),
        ("[# nothing #]x", "x"),
        ("[[ 'y' if empty is defined and not empty else 'n' ]]", "y"),
        ("no newline at the end", "no newline at the end"),
        ("one\n\n", "one\n\n"),
    ],
)
def test_what_is_rendered(template: str, text: str) -> None:
    assert Renderer(VARIABLES).text(template, name="f") == text


@pytest.mark.parametrize(
    "template",
    [
        "[[ ''.__class__.__mro__ ]]",
        "[[ Repo.__init__.__globals__ ]]",
        "[[ Repo['__class__']['__mro__'] ]]",
        "[[ Repo | attr('__class__') ]]",
        "[[ '%s' | format(Repo) ]]",
        "[[ '{0.__class__}'.format(Repo) ]]",
        "[[ Repo.items() ]]",
        "[[ items.append('x') ]]",
        "[[ range(10) ]]",
        "[[ cycler('a') ]]",
        "[[ namespace() ]]",
        "[[ lipsum() ]]",
        "[[ self._TemplateReference__context ]]",
        "[[ 'a' * 1000000000 ]]",
        "[[ 9 ** 9 ** 9 ]]",
        "[[ '%1000000000d' % 1 ]]",
        "[[ 'a' | center(1000000000) ]]",
        "[[ 'a' | indent(1000000000) ]]",
        "[[ items | map('upper') ]]",
        "[% set x = 'a' %]",
        "[% include '/etc/passwd' %]",
        "[% import 'os' as os %]",
        "[% extends 'x' %]",
        "[% from 'x' import y %]",
        "[% macro m() %][% endmacro %]",
        "[% call m() %][% endcall %]",
        "[% filter upper %]x[% endfilter %]",
        "[% block b %][% endblock %]",
        "[% with x = 1 %][% endwith %]",
        "[% raw %]x[% endraw %][[ 'a' * 2 ]]",
        "[% for a in items recursive %][[ loop(items) ]][% endfor %]",
        "[% if .x %]" * 300,
        "[[ " + "(" * 3000 + ")" * 3000 + " ]]",
        "[[ x is sameas(1) ]]",
        "[[ 1 in items is divisibleby(3) ]]",
    ],
)
def test_what_is_refused(template: str) -> None:
    with pytest.raises(OperationError, match=r"^f"):
        Renderer(VARIABLES).text(template, name="f")


def test_loops_that_would_never_end_are_refused() -> None:
    body = "".join(f"[% for a{depth} in 'abcdefghij' %]" for depth in range(12)) + "[% endfor %]" * 12
    with pytest.raises(OperationError, match="a deeper for is not allowed"):
        Renderer(VARIABLES).text(body, name="f")


@pytest.mark.parametrize(
    "template",
    [
        "[% for a in big %][% for b in big %][[ long ]][% endfor %][% endfor %]",
        "[[ long | replace('x', long) ]]",
        "[[ big | join(long) | replace('x', long) ]]",
        "[[ [big, big, big] | tojson ]][[ long | replace('', long) | replace('', long) ]]",
    ],
)
def test_what_would_become_too_long_is_refused_before_it_is(template: str) -> None:
    variables = {"big": ["x"] * 1000, "long": "x" * 10_000}
    with pytest.raises(OperationError, match=f"at most {rendering.MAX_RENDERED} characters"):
        Renderer(variables).text(template, name="f")


def test_a_mistake_is_named_with_its_place() -> None:
    renderer = Renderer(VARIABLES)
    with pytest.raises(OperationError, match=r"dir/f\.tpl: 'gretting' is undefined"):
        renderer.text("[[ gretting ]]", name="dir/f.tpl")
    with pytest.raises(OperationError, match=r"f:3: .*\[\[ \"\[\[\" \]\] writes \[\[ itself"):
        renderer.text("a\nb\n[[ if .x ]]\n", name="f")


def test_variables_cannot_hold_templates() -> None:
    assert Renderer({"x": "[[ AppName ]]", "AppName": "a"}).text("[[ x ]]", name="f") == "[[ AppName ]]"
