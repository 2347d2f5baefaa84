"""``examples/jenkins``: valid without a network, made and kept and removed on a Gitea and a Jenkins."""

from __future__ import annotations

import shutil
from pathlib import Path

from devstream.testing.gitea import GiteaStandIn
from devstream.testing.jenkins import JenkinsStandIn
from tests.forges.program import CANARY, PASSWORD, Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "jenkins"
TOKEN = f"{CANARY}-jenkins"


def copied(root: Path, **environ: str) -> Program:
    program = Program(root, environ)
    shutil.copytree(EXAMPLE, program.folder / "jenkins")
    return program


def test_it_is_valid_without_a_network_and_without_a_token(tmp_path: Path) -> None:
    ended = copied(tmp_path).devstream("validate", "-f", "jenkins")
    assert ended.out == "The configuration is valid: 5 tools, 2 apps, 6 dependencies.\n"


def test_it_is_explained() -> None:
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLE.glob("*.yaml"):
        assert f"`{path.name}`" in text
        assert path.read_text(encoding="utf-8").startswith("# ")


def test_it_is_made_kept_and_removed(tmp_path: Path) -> None:
    program = copied(tmp_path, GITEA_TOKEN=CANARY, JENKINS_TOKEN=TOKEN, REGISTRY_PASSWORD=PASSWORD)
    with (
        GiteaStandIn(tmp_path / "served", token=CANARY) as gitea,
        JenkinsStandIn(user="devstream", token=TOKEN) as jenkins,
    ):
        variables = {"server": gitea.url, "group": "acme", "jenkins": jenkins.url}
        given = [word for name, value in variables.items() for word in ("--var", f"{name}={value}")]
        where = ("-f", "jenkins", *given)
        program.devstream("run", "--yes", *where)
        assert set(jenkins.items) == {"services", "services/shop", "services/billing"}
        kept = jenkins.credentials["services"]
        assert len(kept) == 4
        assert jenkins.secret("services", "devstream-jenkins-pipeline.shop-scm", "password") == CANARY
        image = "devstream-jenkins-pipeline.shop-IMAGE_REPO_SECRET"
        assert jenkins.secret("services", image, "secret") == PASSWORD
        (hook,) = gitea.repository("acme/shop").hooks.values()
        assert hook["config"]["url"] == f"{jenkins.url}/gitea-webhook/post?devstream=jenkins-pipeline.shop"
        program.devstream("verify", "--detailed-exitcode", *where)
        changed = len(jenkins.asked("POST"))
        program.devstream("run", "--yes", *where)
        assert len(jenkins.asked("POST")) == changed
        state = b"".join(path.read_bytes() for path in program.folder.rglob("*") if path.is_file())
        assert CANARY.encode() not in state
        assert PASSWORD.encode() not in state
        program.devstream("delete", "--yes", *where)
        assert not jenkins.items
        assert not any(jenkins.credentials.values())
        assert not gitea.repositories
