"""What the documents tell people to type works as they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def devstream(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "devstream", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_plugin(tmp_path: Path) -> None:
    (tmp_path / "devstream_plugins.py").write_text(blocks("docs/plugin/first-plugin.md", "python")[0])
    (tmp_path / "devstream.yaml").write_text(blocks("docs/plugin/first-plugin.md", "yaml")[0])
    devstream(tmp_path, "run", "--yes")
    note = tmp_path / "hello.txt"
    assert note.read_text() == "Hello\n"
    note.write_text("changed by hand\n")
    assert "changed outside" in devstream(tmp_path, "plan")
    note.unlink()
    devstream(tmp_path, "run", "--yes")
    assert note.read_text() == "Hello\n"
    (tmp_path / "devstream.yaml").write_text("tools: []\n")
    devstream(tmp_path, "run", "--yes")
    assert not note.exists()


def test_a_plugin_with_a_schema(tmp_path: Path) -> None:
    first, schema = blocks("docs/plugin/first-plugin.md", "python")
    hooks = (
        first.partition("class Note:")[2]
        .replace('tool.options["path"]', "tool.options.path")
        .replace('tool.options["text"]', "tool.options.text")
    )
    source = f"from pathlib import Path\nfrom devstream.api import ResourceStatus\n{schema}\n{hooks.split(chr(10), 2)[2]}"
    (tmp_path / "devstream_plugins.py").write_text(source)
    (tmp_path / "devstream.yaml").write_text(blocks("docs/plugin/first-plugin.md", "yaml")[0])
    devstream(tmp_path, "run", "--yes")
    (tmp_path / "devstream.yaml").write_text("tools: [{name: note, instanceID: a, options: {pth: x}}]\n")
    done = subprocess.run(
        [sys.executable, "-m", "devstream", "plan"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert 'did you mean "path"?' in done.stderr


def test_the_test_of_a_plugin(tmp_path: Path) -> None:
    conftest, test = blocks("docs/plugin/testing.md", "python")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_note.py").write_text(test)
    (tmp_path / "devstream_plugins.py").write_text(blocks("docs/plugin/first-plugin.md", "python")[0])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_tutorial(tmp_path: Path) -> None:
    config, app, template, reference = blocks("docs/tutorial.md", "yaml")
    path = tmp_path / "devstream.yaml"
    path.write_text(config)
    assert "file.motd" in devstream(tmp_path, "plan")
    devstream(tmp_path, "run", "--yes")
    (tmp_path / "motd.txt").write_text("Somebody was here\n")
    assert "changed outside" in devstream(tmp_path, "plan")
    path.write_text(config + app)
    assert "repo-scaffolding.web" in devstream(tmp_path, "show", "expanded")
    devstream(tmp_path, "run", "--yes")
    assert (tmp_path / "motd.txt").read_text() == "Welcome to shop\n"
    assert (tmp_path / "repos/shop/web.git").is_dir()
    shared = app.replace(
        "    ci:\n      - type: local-ci\n",
        "    ci: [{type: template, templateName: ci, vars: {limit: 60}}]\n    dependsOn: [file.motd]\n",
    )
    assert shared != app
    path.write_text(config + reference.partition("tools:\n")[2] + shared + template)
    devstream(tmp_path, "run", "--yes")
    assert (tmp_path / "where.txt").read_text().strip().endswith("repos/shop/web.git")
    path.write_text(config)
    plan = devstream(tmp_path, "plan")
    assert plan.index("local-ci.web") < plan.index("repo-scaffolding.web")


@pytest.mark.parametrize("index", range(len(blocks("README.md", "yaml"))))
def test_the_configs_of_the_readme(tmp_path: Path, index: int) -> None:
    (tmp_path / "devstream.yaml").write_text(blocks("README.md", "yaml")[index])
    devstream(tmp_path, "run", "--yes")
    assert "No changes" in devstream(tmp_path, "plan")


def test_the_configs_of_the_reference_load_together(tmp_path: Path) -> None:
    parts = blocks("docs/reference/config.md", "yaml")
    (tmp_path / "devstream.d").mkdir()
    for number, part in enumerate(parts):
        (tmp_path / "devstream.d" / f"{number}.yaml").write_text(part.replace("noop.first", "noop.other"))
    (tmp_path / "devstream.d/more.yaml").write_text(
        "tools: [{name: noop, instanceID: other}]\nvars: {limit: 60}\n"
    )
    devstream(tmp_path, "validate")
