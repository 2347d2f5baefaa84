"""App expansion against schemas of several shapes. What users see of it is in the corpus; here is the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from devstream.config.expand import Expansion, expand
from devstream.config.load import ConfigInputs, load_config
from devstream.config.shape import shape_of
from devstream.errors import ConfigError, Mark, PluginError
from devstream.model.origin import NoOrigins
from devstream.model.schema import AppDefaults, ToolSchema, option
from devstream.record import replace

if TYPE_CHECKING:
    from pathlib import Path


class Inner(msgspec.Struct, rename="camel"):
    some_name: str = ""
    language: Any = None


class Renamed(msgspec.Struct, rename="camel"):
    """Its options are known by their names in YAML, not in Python."""

    pipeline: Annotated[Inner | None, option("Described.")] = None
    own_option: str = ""


class NoScm(msgspec.Struct):
    pipeline: dict[str, Any]


class NoPipeline(msgspec.Struct):
    scm: Any
    image_repo: Any = msgspec.field(default=None, name="imageRepo")


class Neither(msgspec.Struct):
    anything: Any = None


APP = """\
apps:
- name: svc
  spec: {{language: go}}
  repo: {{owner: acme}}
  ci:
{items}
"""


def expanded(folder: Path, text: str, schemas: dict[str, Any]) -> Expansion:
    (folder / "config.yaml").write_text(text)
    return expand(load_config(ConfigInputs(None, folder)), lambda name, mark: schemas[name])


def of_options(folder: Path, schema: ToolSchema | None, options: str) -> dict[str, Any]:
    text = APP.format(items=f"  - {{type: x, options: {options}}}")
    return dict(expanded(folder, text, {"x": schema}).tools[0].options)


REPO = {"owner": "acme", "name": "svc"}


@pytest.mark.parametrize(
    ("struct", "options", "wanted"),
    [
        (
            Renamed,
            "{ownOption: a, someName: b}",
            {"ownOption": "a", "pipeline": {"someName": "b", "language": {"name": "go"}}},
        ),
        (Renamed, "{language: x}", {"pipeline": {"language": "x"}}),
        (NoScm, "{a: 1, scm: 2}", {"pipeline": {"a": 1, "scm": 2, "language": {"name": "go"}}}),
        (NoPipeline, "{a: 1}", {"a": 1, "scm": REPO}),
        (NoPipeline, "{a: 1, scm: mine}", {"a": 1, "scm": "mine"}),
        (Neither, "{a: 1, language: z}", {"a": 1, "language": "z"}),
        (Neither, "{}", {}),
        (None, "{a: 1}", {"a": 1, "scm": REPO}),
    ],
)
def test_options_go_where_the_schema_wants_them(
    tmp_path: Path, struct: Any, options: str, wanted: dict[str, Any]
) -> None:
    assert of_options(tmp_path, ToolSchema(struct) if struct else None, options) == wanted


def test_the_shape_of_a_schema() -> None:
    shape = shape_of(ToolSchema(Renamed))
    assert list(shape.fields or ()) == ["pipeline", "ownOption"]
    assert shape.takes("pipeline", "someName")
    assert not shape.takes("pipeline", "some_name")
    assert shape.takes("ownOption", "anything")
    assert shape_of(None).has("anything")
    assert not shape_of(None).declares("anything")


def test_a_hook_fills_in_last_and_knows_the_app(tmp_path: Path) -> None:
    seen: list[tuple[AppDefaults, dict[str, Any]]] = []

    def fill(app: AppDefaults, options: dict[str, Any]) -> dict[str, Any]:
        seen.append((app, dict(options)))
        return {**options, "filled": True}

    text = (
        "apps:\n- name: svc\n  repo: {owner: acme}\n  ci:\n"
        "  - {type: x, name: a, options: {imageRepo: {url: u}}}\n  - {type: x, name: b}\n"
    )
    expansion = expanded(tmp_path, text, {"x": ToolSchema(NoPipeline, app_options=fill)})
    first, second = seen
    assert first == (AppDefaults("svc", None, None, REPO, None), {"imageRepo": {"url": "u"}, "scm": REPO})
    assert second == (
        AppDefaults("svc", None, None, REPO, {"url": "u"}),
        {"imageRepo": {"url": "u"}, "scm": REPO},
    )
    assert all(tool.options["filled"] for tool in expansion.tools)


def test_what_a_hook_changes_reaches_no_other_tool(tmp_path: Path) -> None:
    def spoil(app: AppDefaults, options: dict[str, Any]) -> dict[str, Any]:
        for tree in (
            app.repo,
            app.image_repo or {},
            options.get("scm") or {},
            options.get("imageRepo") or {},
        ):
            assert "spoilt" not in tree
            tree["spoilt"] = True  # type: ignore[index]  # what a careless plugin does
        return options

    text = (
        "apps:\n- name: svc\n  repo: {owner: acme}\n  repoTemplate: {url: t}\n  ci:\n"
        "  - {type: plain, options: {imageRepo: {url: u}}}\n"
        "  - {type: x, name: a}\n  - {type: x, name: b}\n  - {type: plain, name: c}\n"
    )
    schemas = {"plain": ToolSchema(NoPipeline), "x": ToolSchema(NoPipeline, app_options=spoil)}
    tools = {str(tool.address): tool for tool in expanded(tmp_path, text, schemas).tools}
    assert tools["repo-scaffolding.svc"].options["destinationRepo"] == REPO
    assert tools["plain.svc"].options == {"imageRepo": {"url": "u"}, "scm": REPO}
    assert tools["plain.svc-c"].options == {"imageRepo": {"url": "u"}, "scm": REPO}


def test_a_schema_is_asked_for_once_and_told_where_the_tool_was_named(tmp_path: Path) -> None:
    asked: list[str] = []

    def schema_of(name: str, mark: Mark | None) -> ToolSchema | None:
        asked.append(f"{name} {mark}")
        return None

    text = (
        "apps:\n- name: a\n  repo: {owner: acme}\n  ci: [{type: x}, {type: template, templateName: t}]\n"
        "- name: b\n  repo: {owner: acme}\n  ci: [{type: x}, {type: template, templateName: t}]\n"
        "pipelineTemplates: [{name: t, type: y}]\n"
    )
    (tmp_path / "config.yaml").write_text(text)
    expand(load_config(ConfigInputs(None, tmp_path, env={})), schema_of)
    assert asked == ["x config.yaml:4:15", "y config.yaml:8:37"]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (ValueError("odd"), "ValueError: odd"),
        (PluginError("its own words"), "its own words"),
        (None, "it gave NoneType, not a dict"),
    ],
)
def test_a_hook_that_fails_is_the_plugins_failure(
    tmp_path: Path, failure: Exception | None, message: str
) -> None:
    def fill(app: AppDefaults, options: dict[str, Any]) -> Any:
        if failure:
            raise failure

    with pytest.raises(ConfigError, match=message):
        of_options(tmp_path, ToolSchema(NoPipeline, app_options=fill), "{}")


def test_a_missing_plugin_is_said_once_beside_other_mistakes(tmp_path: Path) -> None:
    def schema_of(name: str, mark: Mark | None) -> ToolSchema | None:
        raise PluginError(f"no {name}", mark=mark)

    text = APP.format(items="  - {type: x}\n  - {type: x, name: b}\n  - {type: template, templateName: t}")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        expand(load_config(ConfigInputs(None, tmp_path)), schema_of)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["plugin", "unknown-template"]


def test_expanding_twice_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(APP.format(items="  - {type: x}"))
    config = load_config(ConfigInputs(None, tmp_path))
    first, second = (
        [replace(tool, origins=NoOrigins()) for tool in expand(config, lambda name, mark: None).tools]
        for _ in range(2)
    )
    assert first == second


def test_a_thousand_wrong_addresses_are_all_told_and_some_with_a_proposal(tmp_path: Path) -> None:
    tools = "".join(
        f"- {{name: noop, instanceID: t{n}, dependsOn: [noop.u{n}, noop.s]}}\n" for n in range(1000)
    )
    (tmp_path / "config.yaml").write_text(f"tools:\n{tools}")
    with pytest.raises(ConfigError) as caught:
        expand(load_config(ConfigInputs(None, tmp_path)), lambda name, mark: None)
    unknown = caught.value.diagnostics
    assert len(unknown) == 2000
    proposed = {diagnostic.summary for diagnostic in unknown if diagnostic.suggestion}
    assert 20 <= len(proposed) <= 200
