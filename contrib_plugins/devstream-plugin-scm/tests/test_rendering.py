"""Templates: DevStream's forms work, and what could read, run or cost too much is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError
from devstream.testing.context import PlainContext
from devstream_plugin_scm import rendering
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.render_process import render_apart
from devstream_plugin_scm.rendering import Renderer

if TYPE_CHECKING:
    from pathlib import Path

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
        "[[ ''['__class__'] ]]",
        "[[ ''['__cl' ~ 'ass__'] ]]",
        "[[ Repo['\\x5f\\x5fclass\\x5f\\x5f'] ]]",
        "[[ items.__len__ ]]",
        "[[ ''.__doc__ ]]",
        "[[ AppName.format ]]",
        "[[ AppName.format_map(Repo) ]]",
        "[[ AppName.join(items) ]]",
        "[[ Repo.get('Name') ]]",
        "[[ Repo.keys() | first ]]",
        "[[ joiner(',')() ]]",
        "[[ dict(a=1) ]]",
        "[[ get_flashed_messages() ]]",
        "[[ request.environ ]]",
        "[[ config ]]",
        "[[ items | random ]]",
        "[[ items | batch(1) | list ]]",
        "[[ items | select('string') ]]",
        "[[ items | groupby('x') ]]",
        "[[ AppName | pprint ]]",
        "[[ AppName | safe ]]",
        "[[ AppName | xmlattr ]]",
        "[[ 1 + 1 ]]",
        "[[ -port ]]",
        "[[ items[0:1] ]]",
        "[[ 1 if x is callable ]]",
        "[% for a in items if loop(a) %][% endfor %]",
        "[% for a in items %][[ loop.__class__ ]][% endfor %]",
        "[% autoescape true %][% endautoescape %]",
        "[% set ns = namespace() %]",
        "[% do items.append(1) %]",
        "[% trans %]x[% endtrans %]",
        "[% debug %]",
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


# ---- in a process of its own

LISTS = {"big": ["x"] * 2000, "long": "x" * 200_000, "AppName": "hello"}


def apart(tmp_path: Path, text: str, *, seconds: float = 20) -> str:
    context = PlainContext(tmp_path, reading=True)
    return render_apart(context, {"f": text}, {**VARIABLES, **LISTS}, seconds=seconds)["f"]


def test_what_is_rendered_apart_is_the_same(tmp_path: Path) -> None:
    text = "[% for item in items %][[ item ]] ü [[ .Repo.Name | upper ]] [[ port ]]\n[% endfor %]"
    assert apart(tmp_path, text) == Renderer(VARIABLES).text(text, name="f")


@pytest.mark.parametrize(
    "template",
    [
        "[% for a in big %][% for b in big %][% for c in big %][% endfor %][% endfor %][% endfor %]",
        "[% for a in long %][% for b in long %][% for c in long %][[ '' ]][% endfor %][% endfor %][% endfor %]",
    ],
)
def test_a_template_that_never_ends_is_stopped(tmp_path: Path, template: str) -> None:
    began = time.monotonic()
    with pytest.raises(OperationError, match="takes more than 1 s, or too much memory"):
        apart(tmp_path, template, seconds=1)
    assert time.monotonic() - began < 15


def test_a_template_that_wants_all_memory_is_stopped(tmp_path: Path) -> None:
    greedy = "[[ [" + "[big ~ long, big ~ long]," * 5000 + "] | length ]]"
    with pytest.raises(OperationError, match="too much memory"):
        apart(tmp_path, greedy, seconds=60)


@pytest.mark.parametrize("template", ["[[ ''.__class__ ]]", "[[ nothing ]]", "[% if %]"])
def test_what_is_refused_here_is_refused_apart(tmp_path: Path, template: str) -> None:
    with pytest.raises(OperationError) as here:
        Renderer(VARIABLES).text(template, name="f")
    with pytest.raises(OperationError) as there:
        apart(tmp_path, template)
    assert str(here.value) == str(there.value)


def test_a_renderer_that_breaks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(OperationError, match="could not be rendered"):
        apart(tmp_path, "x")


@pytest.mark.parametrize(
    ("path", "app", "said"),
    [
        ("_app_name_/x", "..", "cannot be a path"),
        ("_app_name_/x", "a/../../b", "cannot be a path"),
        ("_app_name_", ".git", "cannot be a path"),
        ("._app_name_/config.tpl", "git", "cannot be a path"),
        (".git.tpl", "a", "cannot be a path"),
        (".gitmodules.tpl", "a", "cannot be a path"),
        ("_app_name_", "C:\\evil", "cannot be a path"),
    ],
)
def test_a_path_that_would_lead_elsewhere_is_refused(path: str, app: str, said: str) -> None:
    with pytest.raises(OperationError, match=said):
        Renderer(VARIABLES).tree({path: File(b"")}, app_name=app)


def test_files_that_meet_only_when_rendered_are_refused() -> None:
    for paths in (("README.md", "readme.md.tpl"), ("a", "_app_name_/b")):
        with pytest.raises(OperationError, match=r"one name on some systems|a file and a folder at once"):
            Renderer(VARIABLES).tree(dict.fromkeys(paths, File(b"")), app_name="a")
