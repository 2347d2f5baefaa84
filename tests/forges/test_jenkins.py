"""``examples/jenkins``: valid without a network, made and kept and removed on a Gitea and a Jenkins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from devstream.testing.gitea import GiteaStandIn
from devstream.testing.jenkins import JenkinsStandIn
from tests.forges.program import CANARY, PASSWORD, Program
from tests.forges.test_wiring import OFFERS

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
        outdated = program.devstream("apps", "outdated", "-o", "json", *where).data["apps"]
        job = next(one for one in outdated if one["address"] == "jenkins-pipeline.shop")
        assert (job["template"], job["behind"]) == ("builtin:jenkins", False)
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


CONFIG = """\
config: {{state: {{backend: local, options: {{stateFile: devstream.state}}}}}}
tools:
  - {{name: offer, instanceID: harbor}}
  - name: repo-scaffolding
    instanceID: shop
    options:
      destinationRepo: &repo {{scmType: gitea, baseURL: "{gitea}", org: acme, name: shop, branch: main, token: "[[ env GITEA_TOKEN ]]"}}
      sourceRepo: {{url: "builtin:python-http"}}
  - name: jenkins-pipeline
    instanceID: shop
    dependsOn: [repo-scaffolding.shop, offer.harbor]
    options:
      jenkins: {{url: "{jenkins}", user: devstream, password: "[[ env JENKINS_TOKEN ]]"}}
      scm: *repo
      pipeline: {{language: {{name: python}}, imageRepo: {{url: registry.example.org/acme}}}}
"""


@pytest.mark.slow
def test_a_registrys_login_reaches_jenkins_and_is_followed(tmp_path: Path) -> None:
    program = Program(tmp_path, {"GITEA_TOKEN": CANARY, "JENKINS_TOKEN": TOKEN})

    def offer(**outputs: Any) -> None:
        (program.folder / "harbor.json").write_text(json.dumps(outputs), encoding="utf-8")

    def run() -> dict[str, str]:
        results = program.devstream("run", "--yes", "-o", "json").data.get("results", [])
        return {result["address"].partition(".")[0]: result["action"] for result in results}

    with (
        GiteaStandIn(tmp_path / "served", token=CANARY) as gitea,
        JenkinsStandIn(user="devstream", token=TOKEN) as jenkins,
    ):

        def login() -> list[str]:
            names = ("IMAGE_REPO_USER", "IMAGE_REPO_SECRET")
            return [jenkins.secret("", f"devstream-jenkins-pipeline.shop-{name}", "secret") for name in names]

        (program.folder / "devstream_plugins.py").write_text(OFFERS, encoding="utf-8")
        text = CONFIG.format(gitea=gitea.url, jenkins=jenkins.url)
        (program.folder / "devstream.yaml").write_text(text, encoding="utf-8")
        offer(registry={"user": "robot", "password": [PASSWORD]})
        assert run() == dict.fromkeys(("offer", "repo-scaffolding", "jenkins-pipeline"), "create")
        assert login() == ["robot", PASSWORD]
        assert run() == {}
        offer(registry={"user": "robot", "password": [f"{PASSWORD}-2"]})
        assert run() == {"jenkins-pipeline": "integrate"}
        assert login() == ["robot", f"{PASSWORD}-2"]
        offer()
        assert run() == {"jenkins-pipeline": "integrate"}
        assert login() == ["", ""]
        assert run() == {}
        state = b"".join(
            path.read_bytes() for path in program.folder.glob("devstream.state*") if path.is_file()
        )
        assert PASSWORD.encode() not in state
        program.devstream("delete", "--yes")
        assert not any(jenkins.credentials.values())
