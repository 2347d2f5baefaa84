"""Pipelines of apps, by the program: names, what two tools would both keep, and secrets that are rotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.testing.gitea import GiteaStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-7d2e"
ONE = """\
apps:
  - name: shop
    spec: {{language: python, framework: flask}}
    repo: {{scmType: local}}
    ci: [{{type: {tool}}}]
"""
LOCAL = """\
apps:
  - name: shop
    spec: {{language: python, framework: flask}}
    repo: {{scmType: local}}
    ci:
      - {{type: {tool}, {first} options: {{test: {{command: [make lint]}}}}}}
      - {{type: {tool}, {second} options: {{test: {{command: [make test]}}}}}}
"""
GITEA = """\
apps:
  - name: shop
    spec: {{language: python, framework: flask}}
    repo: {{scmType: gitea, owner: someone, baseURL: {url}, token: [[ env GITEA_TOKEN ]]}}
    repoTemplate: {{url: "builtin:python-http"}}
    ci:
      - type: gitea-actions
        name: lint
        options: {{test: {{command: [make lint]}}}}
      - type: gitea-actions
        name: image
        options:
          imageRepo: {{url: harbor.example.org, user: team, password: [[ env REGISTRY_PASSWORD ]]}}
"""


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        ("github-actions", ".github/workflows/main.yml"),
        ("circleci", ".circleci/config.yml"),
        ("gitlab-ci", ".gitlab-ci.yml"),
    ],
)
def test_two_tools_that_keep_one_file_are_told_before_anything_runs(bench: Any, tool: str, file: str) -> None:
    options = "{scm: {scmType: local, name: shop}, pipeline: {language: {name: go}}}"
    bench.write(f"tools:\n- {{name: {tool}, instanceID: other, options: {options}}}\n{ONE.format(tool=tool)}")
    ended = bench("validate")
    assert ended.code == 3
    assert f"{tool}.shop and {tool}.other both keep {file} of repos/shop@main" in " ".join(ended.err.split())


def test_one_file_takes_no_two_pipelines_and_a_folder_does(bench: Any) -> None:
    bench.write(LOCAL.format(tool="circleci", first="name: a,", second="name: b,"))
    ended = bench("validate")
    assert ended.code == 3
    assert "circleci.shop-b and circleci.shop-a both keep .circleci/config.yml" in " ".join(ended.err.split())
    bench.write(LOCAL.format(tool="gitlab-ci", first="name: a,", second="name: b,"))
    assert bench("validate").code == 0


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaStandIn]:
    with GiteaStandIn(tmp_path / "served") as standin:
        yield standin


def test_a_rotated_password_is_an_update_and_shows_nowhere(bench: Any, gitea: GiteaStandIn) -> None:
    bench.environ |= {"GITEA_TOKEN": gitea.token, "REGISTRY_PASSWORD": f"{CANARY}-1"}
    bench.write(GITEA.format(url=gitea.url))
    ended = bench.process("run", "-y", "-vv")
    assert ended.code == 0, ended.err
    repository = gitea.repository("someone/shop")
    assert repository.secrets == {"IMAGE_REPO_SECRET_IMAGE": f"{CANARY}-1", "IMAGE_REPO_USER_IMAGE": "team"}
    assert bench.process("plan", "--detailed-exitcode").code == 0
    bench.environ |= {"REGISTRY_PASSWORD": f"{CANARY}-2", "GITEA_TOKEN": "rotated-token"}
    gitea.token = "rotated-token"
    planned = bench.process("plan", "-o", "json")
    actions = {change["address"]: change["action"] for change in planned.data["changes"]}
    assert actions == {
        "repo-scaffolding.shop": "noop",
        "gitea-actions.shop-lint": "noop",
        "gitea-actions.shop-image": "update",
    }
    ran = bench.process("run", "-y", "-vv")
    assert ran.code == 0, ran.err
    assert repository.secrets["IMAGE_REPO_SECRET_IMAGE"] == f"{CANARY}-2"
    shown = [text for done in (ended, planned, ran) for text in (done.out, done.err)]
    kept = [path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()]
    assert not any(CANARY in text for text in shown)
    assert not any(CANARY.encode() in content for content in kept)
    del repository.secrets["IMAGE_REPO_SECRET_IMAGE"]
    assert bench.process("plan", "--detailed-exitcode").code == 2
    assert bench.process("delete", "-y").code == 0
    assert repository.secrets == {}


PLUGIN = """\
from devstream.api import ToolSchema, hookimpl, tool
import msgspec


class Options(msgspec.Struct):
    what: str = ""


def keeps(address, app, options):
    if options["what"] == "lie":
        raise ValueError("boom")
    return [(options["what"], str(options.get("what")) if app else str(address))]


@tool("keeper")
class Keeper:
    @hookimpl
    def devstream_tool_schema(self):
        return ToolSchema(Options, claims=keeps)

    @hookimpl
    def create(self):
        pass
"""


@pytest.mark.parametrize(
    ("one", "other", "code", "said"),
    [
        ("x", "y", 0, ""),
        ("x", "x", 3, "keeper.b and keeper.a both keep x"),
        ("x", "lie", 3, "cannot tell what it keeps: ValueError: boom"),
    ],
)
def test_a_plugin_says_what_its_tools_keep(bench: Any, one: str, other: str, code: int, said: str) -> None:
    bench.write(PLUGIN, "devstream_plugins.py")
    tools = [
        f"- {{name: keeper, instanceID: {name}, options: {{what: {what}}}}}"
        for name, what in (("a", one), ("b", other))
    ]
    bench.write("tools:\n" + "\n".join(tools))
    ended = bench("validate")
    assert ended.code == code
    assert said in " ".join(ended.err.split())
