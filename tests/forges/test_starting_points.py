"""``devstream show config --plugin`` and ``--template``: what is printed is a configuration that works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from devstream.cli.starting import TEMPLATES
from devstream.plugins.names import BUILTIN_TOOLS
from tests.forges.program import CANARY, PASSWORD, Program

if TYPE_CHECKING:
    from pathlib import Path

SCM_TOOLS = (
    "repo-scaffolding",
    "local-ci",
    "github-actions",
    "gitlab-ci",
    "gitea-actions",
    "bitbucket-pipelines",
    "circleci",
    "travis-ci",
    "ci-generic",
)
QUICK = ("noop", "repo-scaffolding", "ci-generic")
TOOLS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in (*BUILTIN_TOOLS, *SCM_TOOLS)
]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, {"REGISTRY_PASSWORD": PASSWORD, "GITHUB_TOKEN": CANARY})


def shown(program: Program, *argv: str) -> str:
    text = program.devstream("show", "config", *argv).out
    (program.folder / "devstream.yaml").write_text(text, encoding="utf-8")
    return text


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_to_begin_with_is_valid(program: Program, name: str) -> None:
    text = shown(program, "--plugin", name)
    assert f"  - name: {name}\n" in text
    ended = program.devstream("validate")
    assert ended.out == "The configuration is valid: 1 tool, 0 apps, 0 dependencies.\n"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_valid(program: Program, name: str) -> None:
    shown(program, "--template", name)
    assert "The configuration is valid" in program.devstream("validate").out


def test_the_quickstart_runs(program: Program) -> None:
    shown(program, "--template", "quickstart")
    program.devstream("run", "--yes")
    program.devstream("verify", "--detailed-exitcode")
    assert (program.folder / "repos" / "demo" / "hello.git").is_dir()


def test_every_option_is_there_with_what_it_means(program: Program) -> None:
    text = shown(program, "--plugin", "file")
    assert text.splitlines() == [
        "# file: Keeps a file, its content and its mode.",
        "# What begins with #NAME: is an option with its default. What is not commented out is needed, or an example.",
        "tools:",
        "  - name: file",
        "    instanceID: example",
        "    # Tools that come first: [name.instanceID].",
        "    #dependsOn: []",
        "    options:",
        "      # The file, relative to the config's folder. (text, required)",
        '      path: "notes/hello.txt"',
        "      # What is in it; this or `template`. (text, may be a secret)",
        '      content: "Hello, world"',
        "      # A Jinja2 template, relative to the config's folder; this or `content`. (text)",
        "      #template:",
        "      # The variables of the template, by name. (a mapping of any value)",
        "      #input: {}",
        '      # Its permissions, octal and in quotes: "0644". (text)',
        '      #mode: "0644"',
    ]


def test_options_can_be_taken_in(program: Program) -> None:
    """What is commented out is valid too, once its mark is taken away."""
    text = (
        shown(program, "--plugin", "local-ci")
        .replace("#branch: ", "branch: ")
        .replace("#timeout: ", "timeout: ")
    )
    (program.folder / "devstream.yaml").write_text(text, encoding="utf-8")
    assert "The configuration is valid" in program.devstream("validate").out


def test_a_tool_of_ones_own_is_shown_though_it_gives_no_example(program: Program) -> None:
    (program.folder / "devstream_plugins.py").write_text(
        "from msgspec import Struct\n"
        "from devstream.api import ToolSchema, hookimpl, tool\n"
        "class Options(Struct):\n"
        "    size: int\n"
        "    colours: list[str] = []\n"
        '@tool("thing")\n'
        "class Thing:\n"
        "    @hookimpl\n"
        "    def devstream_tool_schema(self):\n"
        "        return ToolSchema(Options)\n"
        "    @hookimpl\n"
        "    def create(self):\n"
        "        return None\n",
        encoding="utf-8",
    )
    text = shown(program, "--plugin", "thing")
    assert '      size: ""\n' in text
    assert "      #colours: []\n" in text
    assert '"size"' in program.devstream("validate", code=3).err


def test_as_json(program: Program) -> None:
    text = program.devstream("show", "config", "--template", "apps").out
    assert (
        json.loads(program.devstream("show", "config", "--template", "apps", "-o", "json").out)["text"]
        == text
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--plugin", "repo-scafolding"), "repo-scaffolding"),
        (("--plugin", "noop", "--template", "apps"), "cannot be given at the same time"),
        (("--template", "app"), "apps"),
    ],
)
def test_what_cannot_be_shown(program: Program, argv: tuple[str, ...], message: str) -> None:
    ended = program.devstream("show", "config", *argv, code=None)
    assert ended.code not in (0, 1)
    assert message in ended.err
