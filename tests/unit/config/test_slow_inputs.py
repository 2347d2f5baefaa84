"""Inputs made to take long, and mistakes by the thousand: what they cost grows with their size, and with nothing else.

Each of them took many seconds, or minutes, before something was bounded. Processor time is measured, not the clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from devstream.config.load import ConfigInputs, load_config
from devstream.engine.expansion import expand_config, graph_of
from devstream.errors import ConfigError, Diagnostic
from devstream.plugins.manager import PluginManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 2.0
"""Of processor time, on a machine several times slower than ours."""


def tools(number: int, block: Callable[[int], str]) -> str:
    return "tools:\n" + "".join(f"- {{name: noop, {block(n)}}}\n" for n in range(number))


def uses(number: int, name: Callable[[int], str]) -> str:
    items = "".join(f"    - [[ {name(n)} ]]\n" for n in range(number))
    return f"tools:\n- name: noop\n  instanceID: a\n  options:\n    input:\n{items}"


VARIABLES = "vars: {" + ", ".join(f"v{n}: 1" for n in range(3000)) + "}\n"
DEEPER = "vars: {m: {" + ", ".join(f"v{n}: 1" for n in range(3000)) + "}}\n"
ALIASES = (
    "vars:\n  v: 1\n  a: &a [" + "'[[ v ]]', " * 4900 + "]\n" + "".join(f"  b{n}: *a\n" for n in range(1000))
)
TEMPLATES = "pipelineTemplates:\n" + "".join(f"- {{name: t{n}, type: noop}}\n" for n in range(2000))
APPS = "apps:\n" + "".join(
    f"- {{name: a{n}, spec: {{language: go}}, repo: {{scmType: local}}, ci: [{{type: template, templateName: u{n}}}]}}\n"
    for n in range(2000)
)
INPUTS: dict[str, tuple[str, int, str]] = {
    # the file, the number of mistakes, a piece of what is said about the first
    "brackets that open and never close": ("k: " + "[[ [[ ]] " * 40_000, 2, "brackets nest more than 8 deep"),
    "the same in a comment": ("# " + "[[ [[ ]] " * 40_000 + "\ntools: []\n", 0, ""),
    "unknown variables": (VARIABLES + uses(3000, lambda n: f"w{n}"), 3000, 'unknown variable "w0"'),
    "one unknown variable": (VARIABLES + uses(9000, lambda _: "w"), 9000, 'unknown variable "w"'),
    "unknown keys of a variable": (DEEPER + uses(3000, lambda n: f"m.w{n}"), 3000, 'has no "w0"'),
    "a default for each": (VARIABLES + uses(300, lambda n: f"w{n} | default(1)"), 0, ""),
    "unknown addresses in one list": (
        tools(1, lambda _: f"instanceID: a, dependsOn: [{', '.join(f'noop.x{n}' for n in range(10_000))}]"), 10_000, "noop.x0",
    ),
    "unknown addresses": (tools(3000, lambda n: f"instanceID: a{n}, dependsOn: [noop.b{n}]"), 3000, "noop.b0"),
    "unknown templates": (TEMPLATES + APPS, 2000, 'no pipeline template "u0"'),
    "unknown sections": ("".join(f"k{n}: 1\n" for n in range(30_000)), 30_000, 'no section "k0"'),
    "aliases of templates": (ALIASES + "tools: []\n", 1, "aliases stand for more than 400,000 values"),
    "a long cycle": (tools(3000, lambda n: f"instanceID: a{n}, dependsOn: [noop.a{(n + 1) % 3000}]"), 1, "(2,989 more)"),
    "a long name": ("tools:\n- {name: " + "n" * 1_000_000 + ", instanceID: a}\n", 1, "is not the name of a tool"),
    "a long time": (tools(100, lambda n: f"instanceID: a{n}, timeout: '{'9' * 5000}h'"), 100, '"timeout"'),
}  # fmt: skip


def mistakes(folder: Path) -> tuple[Diagnostic, ...]:
    try:
        config = load_config(ConfigInputs(None, folder))
        plugins = PluginManager(folder=None, environ={}, search_path=[], observers=False)
        graph_of(expand_config(config, plugins, secrets=None, conceal=lambda _: None).tools)
    except ConfigError as error:
        return error.diagnostics
    return ()


@pytest.mark.parametrize("name", INPUTS)
def test_what_is_made_to_take_long(tmp_path: Path, name: str) -> None:
    text, number, said = INPUTS[name]
    (tmp_path / "devstream.yaml").write_text(text)
    began = time.process_time()
    found = mistakes(tmp_path)
    assert time.process_time() - began < SECONDS
    assert len(found) == number
    assert not found or said in found[0].summary
    assert max((len(item.summary) for item in found), default=0) < 2000


def test_a_variable_of_the_command_line_is_looked_for_in_a_long_line(tmp_path: Path) -> None:
    (tmp_path / "devstream.yaml").write_text("# " + "[[ a " * 100_000 + "x ]]\ntools: []\n")
    began = time.process_time()
    assert load_config(ConfigInputs(None, tmp_path, {"x": "1"})).tools == ()
    with pytest.raises(ConfigError, match='there is no variable "y"'):
        load_config(ConfigInputs(None, tmp_path, {"y": "1"}))
    assert time.process_time() - began < SECONDS


CUT = """\
tools:
- name: noop
  instanceID: a
  options:
    input:
    - "a/[[ repos ]"
    - '${{ noop.b.outputs.output }'
    - "${{ noop.b.outputs.output"
    - !raw "[[ repos ]"
    - "${{ steps.b.outputs.output }"
    - "[[a], [b]]"
    - |
      [[ env TOKEN ]
      x[[a] && y  # [[ no ]
# [[ comment ]
"""


def test_what_lacks_a_bracket_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "devstream.yaml").write_text(CUT)
    told = load_config(ConfigInputs(None, tmp_path)).warnings
    assert [(item.mark and (item.mark.line, item.mark.column), item.summary) for item in told] == [
        ((6, 10), "[[ repos ] is not closed, and stays text"),
        ((7, 8), "${{ noop.b.outputs.output } is not closed, and stays text"),
        ((8, 8), "${{ noop.b.outputs.output is not closed, and stays text"),
        ((13, 7), "[[ env TOKEN ] is not closed, and stays text"),
        ((14, 21), "[[ no ] is not closed, and stays text"),
    ]
    assert told[0].suggestion == "write ]] at its end, or tag the value !raw"
