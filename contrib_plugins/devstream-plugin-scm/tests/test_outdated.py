"""``devstream apps outdated``, by the command line: which apps are behind their template."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
apps:
  - name: shop
    spec: {language: python}
    repo: {scmType: local}
    repoTemplate: {url: template.git, branch: main}
  - name: pinned
    spec: {language: python}
    repo: {scmType: local}
    repoTemplate: {url: template.git, version: v1.0.0, update: pull-request, vars: {unused: x}}
  - name: plain
    spec: {language: python}
    repo: {scmType: local}
    repoTemplate: {url: "builtin:python-http"}
tools:
  - {name: noop, instanceID: other}
"""


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "devstream.yaml").write_text(CONFIG)
        self.git("init", "-q", "--bare", "-b", "main", "template.git")
        self.git("init", "-q", "-b", "main", "work")
        self.release("v1.0.0")

    def git(self, *arguments: str, folder: str = ".") -> str:
        person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *person, *arguments], cwd=self.root / folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def release(self, tag: str) -> str:
        (self.root / "work" / "a.txt").write_text(tag)
        self.git("add", ".", folder="work")
        self.git("commit", "-qm", tag, folder="work")
        self.git("tag", tag, folder="work")
        self.git("push", "-q", "--tags", "../template.git", "HEAD:main", folder="work")
        return self.git("rev-parse", "HEAD", folder="work")

    def devstream(self, *arguments: str, code: int = 0) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "COLUMNS": "200",
            "XDG_CACHE_HOME": str(self.root / "c"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "devstream", *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout

    def outdated(self, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
        document = json.loads(self.devstream("apps", "outdated", "-o", "json", *arguments, code=code))
        return {app["app"]: app for app in document.get("apps", ())}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.devstream("run", "-y")
    return made


def test_apps_and_how_far_their_templates_are(place: Place) -> None:
    assert not [app for app in place.outdated("--detailed-exitcode").values() if app["behind"]]
    later = place.release("v1.1.0")
    found = place.outdated("--detailed-exitcode", code=2)
    assert {name: app["latest"] for name, app in found.items() if app["behind"]} == {
        "shop": later,
        "pinned": "v1.1.0",
    }
    assert place.outdated().keys() == {"shop", "pinned", "plain"}, "exit code 0 without --detailed-exitcode"
    assert place.outdated("app:plain").keys() == {"plain"}
    assert json.loads(place.devstream("plan", "-o", "json"))["summary"].get("update", 0) == 0, (
        "a plan asks nobody"
    )
    lines = place.devstream("apps", "outdated").splitlines()
    assert lines[0].split() == ["app", "template", "pinned", "latest", "is"]
    assert [line.split()[0] for line in lines if line.endswith("behind")] == ["pinned", "shop"]
    assert lines[-1] == "2 of 3 behind."


def test_what_it_prints_is_what_is_written_to_follow(place: Place) -> None:
    later = place.release("v1.1.0")
    config = place.root / "devstream.yaml"
    text = config.read_text().replace("branch: main", f"version: {place.outdated()['shop']['latest']}")
    config.write_text(text.replace("v1.0.0", "v1.1.0"))
    place.devstream("run", "-y")
    found = place.outdated("--detailed-exitcode")
    assert [found[name]["pinned"] for name in ("shop", "pinned")] == [later, later]
    assert place.git("--git-dir", "repos/shop.git", "show", "main:a.txt") == "v1.1.0"
    assert place.git("--git-dir", "repos/pinned.git", "show", "main:a.txt") == "v1.0.0", "it waits for review"


def test_a_source_that_cannot_be_asked_is_told_and_the_others_are_listed(place: Place) -> None:
    (place.root / "template.git").rename(place.root / "away.git")
    assert place.outdated(code=4).keys() == {"plain"}
    place.devstream("plan")


def test_without_apps_there_is_nothing_to_say(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "devstream.yaml").write_text("tools:\n  - {name: noop, instanceID: other}\n")
    place.devstream("run", "-y")
    assert place.devstream("apps", "outdated") == "No app is made from a template.\n"


def test_a_pipelines_template_is_asked_too(tmp_path: Path) -> None:
    place = Place(tmp_path)
    pipeline = "{type: ci-generic, options: {ci: {type: github, configLocation: ci.yml}}}"
    config = CONFIG.partition("  - name: pinned")[0] + f"    ci: [{pipeline}]\n"
    (tmp_path / "devstream.yaml").write_text(config)
    (tmp_path / "ci.yml").write_text("on: push\n")
    place.devstream("run", "-y")
    behind = []
    for text in ("on: push\n", "on: pull_request\n"):
        (tmp_path / "ci.yml").write_text(text)
        said = json.loads(place.devstream("apps", "outdated", "-o", "json"))["apps"]
        behind.append({templated["address"].partition(".")[0]: templated["behind"] for templated in said})
    assert behind == [
        {"ci-generic": False, "repo-scaffolding": False},
        {"ci-generic": True, "repo-scaffolding": False},
    ]
