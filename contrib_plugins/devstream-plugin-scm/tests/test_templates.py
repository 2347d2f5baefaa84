"""The templates that are shipped: each is complete, and what can be run here is run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import devstream_plugin_scm
from devstream_plugin_scm.rendering import Renderer
from devstream_plugin_scm.sources import read_location
from devstream_plugin_scm.template_repo import TEMPLATES

SHIPPED = Path(devstream_plugin_scm.__file__).parent / TEMPLATES
NAMES = sorted(path.name for path in SHIPPED.iterdir() if path.name != "deployments")
APP = "Shop-1"
AWKWARD = 'Grüß "Gott" \\ </script> [[ \' ]] $x %s'
CHOICES: dict[str, dict[str, Any]] = {
    "plain": {},
    "full": {
        "greeting": AWKWARD,
        "port": 9999,
        "contact": "someone",
        "module": "example.org/x/shop",
        "group": "org.x",
    },
}


def made(name: str, folder: Path, choice: str = "plain", owner: str = "team") -> Path:
    """Render a template into a folder, for an app whose name has a capital."""
    variables = {"AppName": APP, "Repo": {"Name": APP, "Owner": owner, "Branch": "main"}, **CHOICES[choice]}
    tree = read_location(f"builtin:{name}", folder=folder, shipped=TEMPLATES)
    for path, file in Renderer(variables).tree(tree, app_name=APP).items():
        target = folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
    return folder / name


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def needed(tool: str) -> str:
    found = shutil.which(tool, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{tool} is not here")
    return found


def test_there_are_those_that_are_promised() -> None:
    assert NAMES == ["go-cli", "go-gin", "java-springboot", "node-express", "python-flask", "python-http"]


def test_what_is_deployed_is_what_the_cluster_takes(tmp_path: Path) -> None:
    apps = [{"name": "hello", "image": "ghcr.io/acme/hello:1"}, {"name": "shop", "image": "x:2", "port": 80}]
    variables = {"AppName": APP, "Repo": {"Name": APP, "Branch": "main"}, "apps": apps}
    for given, kinds in (([], []), (apps, ["Deployment", "Service"] * 2)):
        tree = read_location("builtin:deployments", folder=tmp_path, shipped=TEMPLATES)
        made = Renderer({**variables, "apps": given}).tree(tree, app_name=APP)
        assert yaml.safe_load(made["kustomization.yaml"].content)["resources"] == ["apps.yaml"]
        documents = list(yaml.safe_load_all(made["apps.yaml"].content))
        assert [document["kind"] for document in documents] == ["Namespace", *kinds]
    shop = documents[3]["spec"]
    labels = {"app.kubernetes.io/name": "shop"}
    assert labels == shop["selector"]["matchLabels"] == shop["template"]["metadata"]["labels"]
    assert labels == documents[4]["spec"]["selector"]
    (container,) = shop["template"]["spec"]["containers"]
    assert (container["image"], container["ports"][0]["containerPort"]) == ("x:2", 80)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_complete(name: str, choice: str, tmp_path: Path) -> None:
    folder = made(name, tmp_path, choice, owner="team" if choice == "full" else "")
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {"Dockerfile", "README.md", ".gitignore", ".dockerignore"} <= files.keys()
    assert [path for path in files if re.search(r"test", path, re.IGNORECASE)]
    texts = {path: file.read_text() for path, file in files.items()}
    assert not [path for path, text in texts.items() if text and not text.endswith("\n")]
    assert not [path for path, text in texts.items() if "\n\n\n\n" in text or "[%" in text]
    assert APP in texts["README.md"]
    if choice == "plain":
        assert "[[" not in "".join(texts.values())
        assert "8080" in texts["Dockerfile"] or name == "go-cli"
    elif name != "go-cli":
        assert "9999" in texts["Dockerfile"]


@pytest.mark.parametrize("name", NAMES)
def test_its_image_is_pinned_and_runs_as_nobody_special(name: str, tmp_path: Path) -> None:
    lines = (made(name, tmp_path) / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert not [base for base in bases if ":" not in base or base.endswith(":latest")]
    (user,) = (line.split()[1] for line in lines if line.startswith("USER "))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), (
        "a cluster that wants no root cannot tell whose a name is"
    )
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    assert any(line.startswith("USER ") for line in lines[last:])
    command = next(line for line in lines if line.startswith(("CMD ", "ENTRYPOINT ")))
    assert json.loads(command.partition(" ")[2]), "no shell stands between"


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", NAMES)
def test_hadolint_finds_nothing(name: str, choice: str, tmp_path: Path) -> None:
    run(needed("hadolint"), "Dockerfile", cwd=made(name, tmp_path, choice))


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["python-http", "python-flask"])
def test_python_passes_its_own_tests(name: str, choice: str, tmp_path: Path) -> None:
    if name == "python-flask" and importlib.util.find_spec("flask") is None:
        pytest.skip("Flask is not here")
    said = run(sys.executable, "-m", "unittest", "discover", cwd=made(name, tmp_path, choice))
    assert "Ran 3 tests" in said


@pytest.mark.parametrize("choice", CHOICES)
def test_node_passes_its_own_tests_as_far_as_they_need_no_packages(choice: str, tmp_path: Path) -> None:
    node = needed("node")
    folder = made("node-express", tmp_path, choice)
    for script in folder.rglob("*.js"):
        run(node, "--check", str(script), cwd=folder)
    assert json.loads((folder / "package.json").read_text())["name"] == APP.lower()
    assert "# pass 3" in run(node, "--test", "--test-reporter=tap", "test/answers.test.js", cwd=folder)


def test_node_passes_all_of_its_tests_with_express(tmp_path: Path) -> None:
    """Express is looked for where NODE_PATH says: nothing is fetched."""
    node, packages = needed("node"), os.environ.get("NODE_PATH", "")
    if not Path(packages, "express").is_dir():
        pytest.skip("Express is not here: NODE_PATH names a folder that has it")
    folder = made("node-express", tmp_path)
    assert "# fail 0" in run(node, "--test", "--test-reporter=tap", cwd=folder, NODE_PATH=packages)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["go-cli", "go-gin"])
def test_go_is_formatted_as_go_wants_it(name: str, choice: str, tmp_path: Path) -> None:
    assert run(needed("gofmt"), "-l", ".", cwd=made(name, tmp_path, choice)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_go_passes_its_own_tests(choice: str, tmp_path: Path) -> None:
    folder = made("go-cli", tmp_path, choice)
    said = run(
        needed("go"), "test", "./...", cwd=folder, GOFLAGS="-mod=mod", GOTOOLCHAIN="local", GOPROXY="off"
    )
    assert "ok" in said


GOPATH = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go packages: golang-github-gin-gonic-gin-dev and what it needs."""


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_go_passes_its_own_tests_with_gin(choice: str, tmp_path: Path) -> None:
    """Without a network: Gin comes from Debian, in the version that it has, and the app is beside it."""
    if not (GOPATH / "src/github.com/gin-gonic/gin").is_dir():
        pytest.skip("Gin is not here: apt-get install golang-github-gin-gonic-gin-dev")
    go, folder = needed("go"), made("go-gin", tmp_path, choice)
    module = re.search(r"^module (\S+)$", (folder / "go.mod").read_text(), re.MULTILINE)
    assert module
    app = tmp_path / "path/src" / module[1]
    shutil.copytree(folder, app)
    environment = {"GO111MODULE": "off", "GOPATH": f"{tmp_path}/path:{GOPATH}", "GOFLAGS": ""}
    run(go, "vet", "./...", cwd=app, **environment)
    run(go, "build", "-o", str(tmp_path / "app"), ".", cwd=app, **environment)
    said = run(go, "test", "-v", "./...", cwd=app, **environment)
    assert said.count("--- PASS: TestRoutes/") == 3


@pytest.mark.parametrize("choice", CHOICES)
def test_java_is_written_as_java_is(choice: str, tmp_path: Path) -> None:
    """Without Spring there is nothing to compile against: names are unknown, but nothing is written wrongly."""
    folder = made("java-springboot", tmp_path, choice)
    sources = [str(path) for path in folder.rglob("*.java")]
    done = subprocess.run(
        [needed("javac"), "-proc:none", "-encoding", "UTF-8", "-d", str(tmp_path / "out"), *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    known = ("does not exist", "cannot find symbol", "static import only from classes")
    assert not [line for line in errors if not any(words in line for words in known)]
    assert errors, "javac stops at what is written wrongly before it looks for names"


@pytest.mark.parametrize("choice", CHOICES)
def test_the_build_file_of_java_is_xml(choice: str, tmp_path: Path) -> None:
    from xml.etree import ElementTree as ET

    root = ET.parse(made("java-springboot", tmp_path, choice) / "pom.xml").getroot()
    spaces = {"m": "http://maven.apache.org/POM/4.0.0"}
    assert root.findtext("m:artifactId", namespaces=spaces) == APP.lower()
    assert root.findtext("m:parent/m:version", namespaces=spaces)
