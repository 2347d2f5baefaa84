"""``examples/`` of forges: valid without a network, and whole runs of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstream_plugin_scm.testing import Bench, Server
from tests.forges.forges import FORGES
from tests.forges.program import CANARY, PASSWORD, Program

if TYPE_CHECKING:
    from tests.forges.forges import Forge

EXAMPLES = Path(__file__).parents[2] / "examples"
MADE = ["acme/billing", "acme/handbook", "acme/shop"]
SHOWN = ("gitea", "github", "gitlab")
QUICK = "gitea"


def copied(root: Path, name: str, **environ: str) -> Program:
    """Copy an example, to be run in the folder above it."""
    program = Program(root, environ)
    shutil.copytree(EXAMPLES / name, program.folder / name)
    return program


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_is_valid_without_a_network_and_without_a_token(tmp_path: Path, name: str) -> None:
    ended = copied(tmp_path, name).devstream("validate", "-f", name)
    assert ended.out == "The configuration is valid: 5 tools, 2 apps, 7 dependencies.\n"


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_is_explained(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    for path in (EXAMPLES / name).glob("*.yaml"):
        assert f"`{path.name}`" in text
        assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize(
    "forge",
    [pytest.param(FORGES[name], marks=() if name == QUICK else pytest.mark.slow, id=name) for name in SHOWN],
)
def test_an_example_is_made_kept_and_removed(tmp_path: Path, forge: Forge) -> None:
    token = f"{forge.kind.upper()}_TOKEN"
    program = copied(tmp_path, forge.kind, **{token: CANARY, "REGISTRY_PASSWORD": PASSWORD})
    with forge.opened(tmp_path / "served") as service:
        where = ("-f", forge.kind, "--var", f"server={service.url}", "--var", "group=acme")
        program.devstream("run", "--yes", *where)
        assert sorted(forge.names(service)) == MADE
        program.devstream("verify", "--detailed-exitcode", *where)
        files = program.git(service, "acme/shop", "ls-tree", "-r", "--name-only", "main").splitlines()
        server = Server(service.url, CANARY, "acme")
        bench = Bench(forge.kind, server, tmp_path, name="shop")
        assert "IMAGE_REPO_SECRET" in bench.hosting.secret_names(bench.location)
        bench.close()
        assert any("workflows/" in path or path == ".gitlab-ci.yml" for path in files)
        service_text = program.git(service, "acme/shop", "show", "main:service.py")
        assert "Welcome to the shop" in service_text
        assert PASSWORD not in program.written
        assert CANARY not in program.written
        program.devstream("delete", "--yes", *where)
        assert forge.names(service) == []
