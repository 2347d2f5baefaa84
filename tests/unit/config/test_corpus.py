"""The configuration corpus, a folder a case: what DevStream's users write, and what becomes of it.

A case holds its input files (``config.yaml``, or what ``case.yaml`` names), and one of

* ``expected.yaml``: the tools after expansion, settings, warnings and origins, written by hand;
* ``error.yaml``: every mistake, in order: code, place, and pieces of its texts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from devstream.config.expand import Expansion, expand
from devstream.config.load import ConfigInputs, load_config
from devstream.errors import ConfigError, Diagnostic, Mark, PluginError
from devstream.model.recorded import parse_reference
from devstream.model.schema import AppDefaults, ToolSchema
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from devstream.model.tool import Encryption, StateKey, ToolInstance

CASES = Path(__file__).parents[2] / "cases" / "config"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


# --- tools as DevStream has them, as far as expansion asks


class Language(msgspec.Struct, rename="camel"):
    name: str = ""
    version: str = ""
    framework: str = ""


class ImageRepo(msgspec.Struct, rename="camel"):
    url: str = ""
    user: str = ""
    password: Any = None


class Pipeline(msgspec.Struct, rename="camel"):
    config_location: str = ""
    image_repo: ImageRepo | None = None
    ding_talk: dict[str, Any] | None = None
    sonarqube: dict[str, Any] | None = None
    language: Language | None = None
    test: dict[str, Any] | None = None


class GithubActions(msgspec.Struct, rename="camel"):
    scm: dict[str, Any]
    pipeline: Pipeline


class GitlabCi(msgspec.Struct, rename="camel"):
    scm: dict[str, Any]
    pipeline: Pipeline
    runner: dict[str, Any] | None = None


class Jenkins(msgspec.Struct, rename="camel"):
    jenkins: dict[str, Any]
    scm: dict[str, Any]
    pipeline: Pipeline
    job_name: str = ""


class ArgocdApp(msgspec.Struct, rename="camel"):
    app: dict[str, Any]
    source: dict[str, Any]
    destination: dict[str, Any] | None = None
    image_repo: ImageRepo | None = None


class Trello(msgspec.Struct, rename="camel"):
    scm: dict[str, Any]
    board: dict[str, Any]


class Noop(msgspec.Struct, rename="camel"):
    input: Any = None


class Strict(msgspec.Struct, rename="camel"):
    """A pipeline without a language, an imageRepo without a password."""

    class Commands(msgspec.Struct):
        commands: list[str] = []

    class Image(msgspec.Struct):
        url: str = ""
        user: str = ""

    pipeline: Commands
    image_repo: Image | None = None


TEMPLATES = "https://raw.githubusercontent.com/devstream-io/dtm-pipeline-templates/main"


def location(path: str) -> Any:
    def fill(app: AppDefaults, options: dict[str, Any]) -> dict[str, Any]:
        options["pipeline"].setdefault("configLocation", f"{TEMPLATES}/{path}")
        return options

    return fill


def argocd_defaults(app: AppDefaults, options: dict[str, Any]) -> dict[str, Any]:
    options.setdefault("app", {"name": app.name, "namespace": "argocd"})
    options.setdefault("destination", {"server": "https://kubernetes.default.svc", "namespace": "default"})
    source = options.setdefault("source", {"valuefile": "values.yaml", "path": f"helm/{app.name}"})
    if "repoURL" not in source:
        source["repoURL"] = clone_url(app.repo)
        if "branch" in app.repo:
            source["repoBranch"] = app.repo["branch"]
        if "token" in app.repo:
            source["token"] = app.repo["token"]
    return options


def clone_url(repo: Any) -> Any:
    if "url" in repo:
        return repo["url"]
    owner = repo.get("owner") or repo.get("org")
    if repo.get("scmType") == "gitlab":
        return f"{repo.get('baseURL', 'https://gitlab.com')}/{owner}/{repo['name']}.git"
    return f"https://github.com/{owner}/{repo['name']}"


def broken(app: AppDefaults, options: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("nothing")


SCHEMAS: dict[str, ToolSchema | None] = {
    "github-actions": ToolSchema(GithubActions, app_options=location("github-actions/workflows/main.yml")),
    "gitlab-ci": ToolSchema(GitlabCi, app_options=location("gitlab-ci/.gitlab-ci.yml")),
    "jenkins-pipeline": ToolSchema(Jenkins, app_options=location("jenkins-pipeline/general/Jenkinsfile")),
    "argocdapp": ToolSchema(ArgocdApp, app_options=argocd_defaults),
    "trello": ToolSchema(Trello),
    "noop": ToolSchema(Noop),
    "strict": ToolSchema(Strict),
    "broken": ToolSchema(Noop, app_options=broken),
    "anything": None,
}


def schema_of(name: str, mark: Mark | None) -> ToolSchema | None:
    if name not in SCHEMAS:
        raise PluginError(f'no plugin provides the tool "{name}"', mark=mark)
    return SCHEMAS[name]


# --- running a case


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def inputs_of(case: Path) -> ConfigInputs:
    settings = read(case / "case.yaml")
    return ConfigInputs(
        Path(settings.get("path", "config.yaml")) if settings.get("path", "") is not None else None,
        case,
        settings.get("variables", {}),
        tuple(Path(name) for name in settings.get("var_files", ())),
        settings.get("env", {}),
        settings.get("offline", False),
    )


def as_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_data(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_data(item) for item in value]
    if isinstance(value, Secret):
        return {"$secret": [as_data(part) for part in value.parts]}
    if isinstance(value, Interpolation):
        return {"$join": [as_data(part) for part in value.parts]}
    if isinstance(value, SecretRef):
        return {value.source: value.key}
    if isinstance(value, Reference):
        return {"$ref": str(value)}
    return {"$unknown": True} if isinstance(value, Unknown) else value


def tool_as_data(tool: ToolInstance) -> dict[str, Any]:
    fields = {
        "name": tool.address.name,
        "instanceID": tool.address.instance_id,
        "options": as_data(tool.options),
        "dependsOn": [str(address) for address in tool.depends_on],
        "afterTools": tool.after_tools,
        "app": tool.app,
        "adopt": tool.adopt,
        "allowDelete": tool.allow_delete,
        "protect": tool.protect,
        "retries": tool.retries,
        "timeout": tool.timeout,
        "tags": list(tool.tags),
        "connection": tool.connection,
    }
    quiet = {"dependsOn": [], "afterTools": False, "allowDelete": False, "retries": 0, "tags": []}
    return {
        key: value
        for key, value in fields.items()
        if value is not None and (key not in quiet or value != quiet[key])
    }


def exactly(data: Any) -> str:
    """Write data so that true, 1, 1.0 and "1" differ and the order of keys does not matter."""
    return json.dumps(data, indent=1, sort_keys=True)


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    case = CASES / name
    wanted = read(case / "error.yaml")
    if wanted:
        with pytest.raises(ConfigError) as caught:
            expand(load_config(inputs_of(case)), schema_of)
        check_errors(caught.value.diagnostics, wanted)
        return
    check_expansion(case, read(case / "expected.yaml"))


def check_expansion(case: Path, expected: dict[str, Any]) -> None:
    config = load_config(inputs_of(case))
    expansion = expand(config, schema_of)
    wanted = [without_addresses(tool) for tool in expected["tools"]]
    assert exactly([tool_as_data(tool) for tool in expansion.tools]) == exactly(wanted)
    check_addresses(expansion, expected["tools"])
    settings = expected.get("settings", {})
    if "state" in settings:
        state = {"backend": config.settings.state.backend, "options": as_data(config.settings.state.options)}
        assert exactly(state) == exactly(settings["state"])
    assert encryption_as_data(config.settings.state.encryption) == settings.get("encryption")
    assert config.settings.parallelism == settings.get("parallelism")
    assert config.settings.folder == case / settings.get("folder", "")
    if "files" in expected:
        assert [str(path.relative_to(case)) for path in config.files] == expected["files"]
    said = [str(warning) for warning in (*config.warnings, *expansion.warnings)]
    assert len(said) == len(expected.get("warnings", ())), said
    for line, piece in zip(said, expected.get("warnings", ()), strict=True):
        assert line.startswith(piece)
    check_origins(expansion, expected.get("origins", {}))
    json.dumps(config.rendered)


def encryption_as_data(encryption: Encryption | None) -> dict[str, Any] | None:
    """Give ``config.state.encryption`` as the expectations write it."""
    if encryption is None:
        return None
    return {"enforced": encryption.enforced, "keys": [key_as_data(key) for key in encryption.keys]}


def key_as_data(key: StateKey) -> dict[str, Any]:
    given: dict[str, Any] = {"keyFile": key.key_file, "command": list(key.command)}
    if key.passphrase is not None:
        given["passphrase"] = as_data(key.passphrase)
    return {"name": key.name, **{way: value for way, value in given.items() if value}}


def without_addresses(tool: Any) -> Any:
    if isinstance(tool, dict):
        return {key: without_addresses(value) for key, value in tool.items() if key != "$address"}
    return tool


def check_addresses(expansion: Expansion, tools: list[dict[str, Any]]) -> None:
    """Where a case says ``$address`` beside ``$ref``, that is the tool the reference must name."""
    for tool, wanted in zip(expansion.tools, tools, strict=True):
        for key, value in wanted["options"].items():
            if isinstance(value, dict) and "$address" in value:
                assert tool.options[key] == parse_reference(value["$ref"], [value["$address"]])


def check_origins(expansion: Expansion, wanted: dict[str, dict[str, str]]) -> None:
    tools = {str(tool.address): tool for tool in expansion.tools}
    for address, fields in wanted.items():
        for text, origin in fields.items():
            path = parse_reference(f"a.b.outputs.{text}", ()).path
            assert f"{text}: {tools[address].origins.at(path)}" == f"{text}: {origin}"


def check_errors(found: tuple[Diagnostic, ...], wanted: list[dict[str, Any]]) -> None:
    said = [f"{diagnostic.code} {diagnostic}" for diagnostic in found]
    assert len(found) == len(wanted), said
    for diagnostic, expected in zip(found, wanted, strict=True):
        mark = diagnostic.mark
        place = f"{mark.file}:{mark.line}:{mark.column}" if mark else ""
        assert (place, diagnostic.code) == (expected.get("place", ""), expected["code"]), said
        for field in ("summary", "suggestion", "detail"):
            assert expected.get(field, "") in getattr(diagnostic, field), said
