"""The package as a whole: found by its entry points, checked before anything runs, built with all it needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Address, Mark
from devstream.model.origin import Origin
from devstream.model.tool import ToolInstance
from devstream.model.values import Unknown
from devstream.plugins.manager import PluginManager

if TYPE_CHECKING:
    from devstream.plugins.tool_plugin import ToolPlugin

PACKAGE = Path(__file__).parent.parent
TOOLS = [
    "bitbucket-pipelines",
    "ci-generic",
    "circleci",
    "gitea-actions",
    "github-actions",
    "gitlab-ci",
    "local-ci",
    "repo-scaffolding",
    "travis-ci",
]
LOCAL = {"scmType": "local", "name": "hello"}


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    manager = PluginManager(folder=None, environ={})
    manager.load(TOOLS)
    return manager


@pytest.mark.parametrize("name", TOOLS)
def test_each_tool_is_found_and_says_what_it_can_do(plugins: PluginManager, name: str) -> None:
    plugin = plugins.tool(name)
    assert plugin.distribution == "devstream-plugin-scm"
    traits = plugin.traits({})
    assert (traits.can_read, traits.can_update, traits.can_delete) == (True, True, True)
    assert traits.repeatable == (name != "repo-scaffolding")
    assert plugin.schema is not None
    assert plugin.schema.adopts == (name != "repo-scaffolding")
    assert plugin.schema.doc


def mistakes(plugin: ToolPlugin, options: dict[str, Any]) -> list[str]:
    origin = Origin(Mark("f.yaml", 1, 1))
    instance = ToolInstance(Address(plugin.name, "hello"), options, origin)
    return [diagnostic.summary for diagnostic in plugin.check(instance)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "repo-scaffolding",
            {"destinationRepo": {**LOCAL, "scmType": "lcoal"}, "sourceRepo": {}},
            'did you mean "local"?',
        ),
        ("repo-scaffolding", {"destinationRepo": LOCAL, "sourceRepo": {"urll": "x"}}, "sourceRepo.urll"),
        ("repo-scaffolding", {"destinationRepo": LOCAL}, "sourceRepo"),
        ("local-ci", {"scm": LOCAL, "pipeline": {}}, "commands are missing"),
        ("local-ci", {"scm": LOCAL, "pipeline": {"commands": "make"}}, "pipeline.commands"),
        ("github-actions", {"scm": {**LOCAL, "owner": "a", "org": "b"}}, "owner and org"),
        (
            "gitlab-ci",
            {"scm": LOCAL, "pipeline": {"imageRepo": {"pasword": "x"}}},
            "pipeline.imageRepo.pasword",
        ),
        ("ci-generic", {"scm": LOCAL, "ci": {"type": "github"}}, "either configLocation or configContents"),
        (
            "ci-generic",
            {"scm": LOCAL, "ci": {"type": "github", "configContents": {"../a.yml": "x"}}},
            "\"ci.configContents\": '../a.yml' cannot be a path",
        ),
        (
            "github-actions",
            {"scm": LOCAL, "pipeline": {"imageRepo": {"url": "https://u:hunter2@ghcr.io"}}},
            '"pipeline.imageRepo.url": "https://ghcr.io" is not the address of a registry',
        ),
        (
            "github-actions",
            {"scm": LOCAL, "pipeline": {"configLocation": "builtin:gitlab"}},
            '"pipeline.configLocation": there is no built-in template "gitlab"',
        ),
        (
            "github-actions",
            {"scm": LOCAL, "pipeline": {"configLocation": "https://u:hunter2@example.org/ci.yml"}},
            '"pipeline.configLocation": a URL must not hold a user',
        ),
        (
            "gitlab-ci",
            {
                "scm": {"scmType": "github", "owner": "a", "name": "b"},
                "pipeline": {"language": {"name": "go"}},
            },
            '"scm.scmType": GitLab CI does not look at repositories on github',
        ),
        (
            "gitlab-ci",
            {"scm": LOCAL, "pipeline": {"language": {"name": "pythn"}}},
            '"pipeline.language.name": the pipeline would do nothing',
        ),
        (
            "repo-scaffolding",
            {"destinationRepo": LOCAL, "sourceRepo": {"url": "a", "update": "merge"}},
            '"sourceRepo.update": "merge" is none of',
        ),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    plugins: PluginManager, name: str, options: dict[str, Any], message: str
) -> None:
    found = mistakes(plugins.tool(name), options)
    assert any(message in summary for summary in found)
    assert "hunter2" not in str(found)


def test_what_is_not_known_yet_is_no_mistake(plugins: PluginManager) -> None:
    options = {"scm": {**LOCAL, "baseURL": Unknown()}, "pipeline": {"commands": ["a"], "timeout": Unknown()}}
    assert mistakes(plugins.tool("local-ci"), options) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("repo-scaffolding", ("destinationRepo", "token")),
        ("repo-scaffolding", ("sourceRepo", "sshPrivateKey")),
        ("github-actions", ("scm", "token")),
        ("circleci", ("circleci", "token")),
        ("travis-ci", ("travis", "token")),
    ],
)
def test_a_new_token_does_nothing(plugins: PluginManager, name: str, path: tuple[str, ...]) -> None:
    assert {"secret", "record_only"} <= plugins.tool(name).flags(path)


@pytest.mark.slow
def test_the_wheel_has_templates_and_entry_points(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    source = PACKAGE / "devstream_plugin_scm"
    shipped = {
        path
        for folder in ("templates", "pipelines")
        for path in (source / folder).rglob("*")
        if path.is_file()
    }
    assert {str(path.relative_to(PACKAGE)) for path in shipped} <= names
    assert "devstream_plugin_scm/py.typed" in names
