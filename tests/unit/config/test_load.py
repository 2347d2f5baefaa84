"""Loading: variables by precedence, secrets, what people are shown, and laws that hold for every configuration."""

from __future__ import annotations

import gc
import json
import pickle
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstream.config.expand import expand
from devstream.config.load import ConfigInputs, load_config
from devstream.config.scan import NOT_OURS
from devstream.errors import ConfigError, Diagnostic, Mark

if TYPE_CHECKING:
    from devstream.config.model import Config
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance


def no_schema(name: str, mark: Mark | None) -> ToolSchema | None:
    return None


def load(folder: Path, text: str, **inputs: Any) -> Config:
    (folder / "config.yaml").write_text(text)
    return load_config(ConfigInputs(None, folder, **inputs))


def options(folder: Path, text: str, **inputs: Any) -> Any:
    return (
        load(folder, f"{text}\ntools: [{{name: noop, instanceID: a, options: {{v: [[ v ]]}}}}]", **inputs)
        .tools[0]
        .options["v"]
    )


SOURCES = ["vars", "DEVSTREAM_VAR_", "--var-file", "--var"]


@pytest.mark.parametrize("present", range(1, 16))
def test_of_every_set_of_sources_the_strongest_counts(tmp_path: Path, present: int) -> None:
    there = [name for index, name in enumerate(SOURCES) if present >> index & 1]
    (tmp_path / "v.yaml").write_text("v: --var-file")
    value = options(
        tmp_path,
        "vars: {v: vars}" if "vars" in there else "",
        env={"DEVSTREAM_VAR_v": "DEVSTREAM_VAR_"} if "DEVSTREAM_VAR_" in there else {},
        var_files=(Path("v.yaml"),) if "--var-file" in there else (),
        variables={"v": "--var"} if "--var" in there else {},
    )
    assert value == there[-1]


@pytest.mark.parametrize("key", ["DEVSTREAM_VAR_v", "--var"])
@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("8080", 8080),
        ("1.20", 1.2),
        ("true", True),
        ("yes", "yes"),
        ("null", None),
        ("0o12", 10),
        ("a: b", "a: b"),
    ],
)
def test_text_from_outside_takes_the_type_it_would_have_in_a_file(
    tmp_path: Path, key: str, text: str, typed: Any
) -> None:
    inputs = {"variables": {"v": text}} if key == "--var" else {"env": {key: text}}
    value = options(tmp_path, "vars: {v: x}", **inputs)
    assert (value, type(value)) == (typed, type(typed))


def test_an_unknown_variable_of_the_command_line_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "vars: {owner: x}\ntools: []", variables={"ownr": "y"})
    assert str(caught.value) == '--var ownr: there is no variable "ownr" (did you mean "owner"?)'


def test_a_variable_that_only_the_command_line_gives(tmp_path: Path) -> None:
    assert options(tmp_path, "vars: {}", variables={"v": "given"}) == "given"


def test_a_secret_of_the_command_line_must_be_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--var v: the environment variable TOKEN is not set or empty"):
        options(tmp_path, "", variables={"v": "env:TOKEN"}, env={"TOKEN": ""})
    config = load(tmp_path, "vars: {v: 1}\ntools: []", variables={"v": "env:TOKEN"}, offline=True)
    assert [str(warning) for warning in config.warnings] == [
        "--var v: the environment variable TOKEN is not set or empty"
    ]


def test_a_variable_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        load(tmp_path, "tools: []", var_files=(Path("gone.yaml"),))


@pytest.mark.parametrize("word", sorted(NOT_OURS))
def test_reserved_words_are_no_tools(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=f'no tool can be called "{word}"'):
        load(tmp_path, f"tools: [{{name: {word}, instanceID: a}}]")


SHOWN = """\
config: {state: {backend: local, options: {stateFile: "[[ a ]].state"}}}
vars:
  a: one
  token: [[ env "TOKEN" ]]
  port: 80
tools:
- name: noop
  instanceID: x
  options: {t: [[ token ]], text: "Bearer [[ token ]]", ref: "${{ noop.y.outputs.o }}", url: "http://${{ noop.y.outputs.o }}:[[ port ]]"}
- {name: noop, instanceID: y}
apps:
- name: svc
  repo: {owner: [[ a ]], token: [[ env "TOKEN" ]]}
  ci:
  - {type: template, templateName: t, vars: {b: [[ a ]]}, options: {x: [[ b ]]}}
pipelineTemplates:
- {name: t, type: noop, options: {y: "[[ b ]]-${{ noop.y.outputs.o }}", z: [[ env "TOKEN" ]], j: [[ b | upper ]]}}
"""


def test_show_config_renders_what_can_be_and_hides_secrets(tmp_path: Path) -> None:
    config = load(tmp_path, SHOWN, env={"TOKEN": "hunter22"}, variables={"port": "81"})
    assert config.rendered == {
        "config": {"state": {"backend": "local", "options": {"stateFile": "one.state"}}},
        "vars": {"a": "one", "token": "(secret)", "port": "81"},
        "tools": [
            {
                "name": "noop",
                "instanceID": "x",
                "options": {
                    "t": "(secret)",
                    "text": "(secret)",
                    "ref": "${{ noop.y.outputs.o }}",
                    "url": "http://${{ noop.y.outputs.o }}:81",
                },
            },
            {"name": "noop", "instanceID": "y"},
        ],
        "apps": [
            {
                "name": "svc",
                "repo": {"owner": "one", "token": "(secret)"},
                "ci": [
                    {
                        "type": "template",
                        "templateName": "t",
                        "vars": {"b": "one"},
                        "options": {"x": "[[ b ]]"},
                    }
                ],
            }
        ],
        "pipelineTemplates": [
            {
                "name": "t",
                "type": "noop",
                "options": {
                    "y": "[[ b ]]-${{ noop.y.outputs.o }}",
                    "z": '[[ env "TOKEN" ]]',
                    "j": "[[ b | upper ]]",
                },
            }
        ],
    }


def test_secrets_are_in_no_text_of_the_model(tmp_path: Path) -> None:
    config = load(tmp_path, SHOWN, env={"TOKEN": "hunter22"})
    expansion = expand(config, no_schema)
    assert "hunter22" not in repr(expansion) + repr(config.tools) + repr(config.settings)
    assert b"hunter22" not in pickle.dumps(expansion.tools)


def test_a_secret_in_the_wrong_place_is_not_shown_in_the_error(tmp_path: Path) -> None:
    text = """\
config: {parallelism: [[ env "T" ]]}
tools:
- name: [[ env "T" ]]
  instanceID: [[ env "T" ]]
  dependsOn: ["[[ env "T" ]]"]
  adopt: [[ env "T" ]]
  retries: [[ env "T" ]]
  timeout: [[ env "T" ]]
  options: [[ env "T" ]]
apps:
- name: [[ env "T" ]]
  repo: [[ env "T" ]]
  ci: [{type: [[ env "T" ]]}]
"""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, env={"T": "Hunter.22!"})
    assert len(caught.value.diagnostics) == 11
    assert "Hunter" not in repr(caught.value.diagnostics)


def test_an_unset_variable_is_not_known_when_shown_offline(tmp_path: Path) -> None:
    config = load(tmp_path, SHOWN, offline=True)
    assert config.rendered["vars"]["token"] == "(not known)"


@pytest.mark.parametrize("was_on", [True, False])
def test_garbage_collection_is_left_as_it_was(tmp_path: Path, was_on: bool) -> None:
    (gc.enable if was_on else gc.disable)()
    try:
        load(tmp_path, "tools: []")
        with pytest.raises(ConfigError):
            load(tmp_path, "tools: {}")
        assert gc.isenabled() is was_on
    finally:
        gc.enable()


# --- laws

BASE: dict[str, Any] = {
    "config": {"state": {"backend": "local", "options": {"stateFile": "x.state"}}, "parallelism": 2},
    "vars": {"a": "one", "b": {"c": [1, 2]}},
    "tools": [
        {"name": "noop", "instanceID": "a", "options": {"input": {"x": 1}}, "tags": ["t"], "timeout": "5m"},
        {"name": "noop", "instanceID": "b", "dependsOn": ["noop.a"], "adopt": True},
    ],
    "apps": [
        {
            "name": "svc",
            "spec": {"language": "go", "framework": "gin"},
            "repo": {"owner": "acme", "url": "https://example.com/acme/svc.git"},
            "repoTemplate": {"url": "builtin:x", "vars": {"p": 1}},
            "ci": [
                {
                    "type": "template",
                    "templateName": "t",
                    "vars": {"v": 1},
                    "options": {"imageRepo": {"url": "u"}},
                }
            ],
            "cd": [{"type": "noop", "name": "x", "options": {}}],
            "dependsOn": ["noop.b"],
        }
    ],
    "pipelineTemplates": [{"name": "t", "type": "other", "options": {"o": {"p": [1]}}}],
}
JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
        st.sampled_from(
            [
                "noop.a",
                "t",
                "template",
                "a",
                "svc",
                "${{ noop.a.outputs.x }}",
                "[[ a ]]",
                "[[ zz ]]",
                "env",
                "5m",
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "options", "type", "url", "instanceID", "q"]), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


PLACES = [place for place in places(BASE) if place]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=2), st.booleans())
def test_whatever_is_written_loads_or_is_refused_with_a_place(changes: list[Any], offline: bool) -> None:
    data = BASE
    for path, new in sorted(changes, key=lambda change: -len(change[0])):
        data = replaced(data, path, new)
    tools, errors = outcome(json.dumps(data), offline=offline)
    assert all(error.mark is not None or error.code == "nothing-configured" for error in errors)
    for tool in tools:
        assert tool.origin.mark is not None
        assert tool.origins.at(("anything", "inside")) is not None


def outcome(text: str, *, offline: bool) -> tuple[tuple[ToolInstance, ...], tuple[Diagnostic, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return expand(load(Path(folder), text, offline=offline), no_schema).tools, ()
        except ConfigError as error:
            return (), error.diagnostics


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(5)), st.sets(st.integers(0, 3)))
def test_how_sections_are_spread_over_files_and_documents_does_not_matter(
    order: list[int], breaks: set[int]
) -> None:
    sections = list(BASE.items())
    texts: list[list[str]] = [[]]
    for position, index in enumerate(order):
        texts[-1].append(yaml.safe_dump(dict([sections[index]])))
        if position in breaks:
            texts.append([])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "conf"
        folder.mkdir()
        for number, documents in enumerate(texts):
            (folder / f"{number}.yaml").write_text("---\n".join(documents))
        spread = expand(load_config(ConfigInputs(folder, folder)), no_schema)
        together = expand(load(Path(name), yaml.safe_dump(BASE)), no_schema)
    assert [(tool.address, tool.options, tool.depends_on) for tool in spread.tools] == [
        (tool.address, tool.options, tool.depends_on) for tool in together.tools
    ]


@pytest.mark.slow
def test_loading_takes_time_in_proportion(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        tools = "".join(
            f"- {{name: noop, instanceID: t{n}, dependsOn: [noop.t{n - 1}], options: {{i: [[ v ]]}}}}\n"
            for n in range(1, count)
        )
        tools = "- {name: noop, instanceID: t0}\n" + tools
        (tmp_path / "config.yaml").write_text(f"vars: {{v: 1}}\ntools:\n{tools}")
        times = []
        for _ in range(3):
            start = time.perf_counter()
            expand(load_config(ConfigInputs(None, tmp_path)), no_schema)
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(8000) < 8 * 2.5 * seconds(1000)
