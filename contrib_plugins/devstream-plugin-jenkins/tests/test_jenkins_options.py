"""The tool as it is installed: its options, what an app makes of them, and the Jenkinsfiles that come of them."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from devstream.api import Address, Mark, OperationError, Secret
from devstream.model.origin import Origin
from devstream.model.tool import ToolInstance
from devstream.plugins.manager import PluginManager
from devstream.testing.context import PlainContext
from devstream_plugin_jenkins.jenkinsfile import groovy, jenkinsfile, template_of
from devstream_plugin_jenkins.needed_plugins import needed_by
from devstream_plugin_jenkins.options import JenkinsOptions
from devstream_plugin_jenkins.webhook import takes_webhooks

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.plugins.tool_plugin import ToolPlugin

JENKINS = {"url": "https://ci.example.org", "user": "admin", "password": "x"}
SCM = {"scmType": "github", "owner": "acme", "name": "shop"}
PYTHON = {"language": {"name": "python"}}
KEYED = {**JENKINS, "deployKey": True}


def options(**fields: Any) -> JenkinsOptions:
    given = {"jenkins": JENKINS, "scm": SCM, "pipeline": PYTHON, **fields}
    return msgspec.convert(
        given,
        JenkinsOptions,
        dec_hook=lambda wanted, value: Secret.plain(value) if wanted is Secret else value,
    )


@pytest.fixture(scope="module")
def plugin() -> ToolPlugin:
    manager = PluginManager(folder=None, environ={})
    manager.load(["jenkins-pipeline"])
    return manager.tool("jenkins-pipeline")


def mistakes(plugin: ToolPlugin, given: dict[str, Any]) -> list[str]:
    instance = ToolInstance(Address("jenkins-pipeline", "shop"), given, Origin(Mark("f.yaml", 1, 1)))
    return [diagnostic.summary for diagnostic in plugin.check(instance)]


def test_it_is_found_and_says_what_it_can_do(plugin: ToolPlugin) -> None:
    traits = plugin.traits({})
    assert plugin.distribution == "devstream-plugin-jenkins"
    assert (traits.can_read, traits.can_update, traits.can_delete, traits.repeatable) == (
        True,
        True,
        True,
        False,
    )
    assert plugin.schema is not None
    assert not plugin.schema.adopts


def test_devstreams_own_configuration_loads(plugin: ToolPlugin) -> None:
    theirs = {
        "jenkins": {**JENKINS, "namespace": "jenkins", "enableRestart": True, "offline": False},
        "scm": {"owner": "acme", "name": "shop", "branch": "main", "scmType": "gitlab", "token": "t"},
        "pipeline": {"language": {"name": "java", "framework": "springboot"}, "imageRepo": {"user": "u"}},
        "jobName": "test-job/shop",
    }
    assert mistakes(plugin, theirs) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jenkins": {"url": "https://x", "user": "u"}}, "password"),
        ({"jenkins": {**JENKINS, "url": "ci.example.org"}}, "is not the address of a service"),
        ({"jenkins": {**JENKINS, "enableRestrat": True}}, "enableRestrat"),
        ({"jobName": "a//b"}, "cannot be a job or a folder"),
        ({"jobName": "../a"}, "cannot be a job or a folder"),
        ({"jobName": "a?b"}, "cannot be a job or a folder"),
        ({"type": "freestyle"}, "type"),
        ({"pipeline": {}}, "the pipeline would do nothing"),
        ({"scm": {**SCM, "scmType": "svn"}}, 'there is no scmType "svn"'),
        (
            {"jenkins": KEYED, "scm": {"scmType": "git", "url": "https://git.example.org/a/b.git"}},
            "a repository with scmType: git has no deploy keys",
        ),
        ({"jenkins": KEYED}, "a deploy key needs scm.token"),
        ({"pipeline": {**PYTHON, "configLocation": "builtin:jenkin"}}, 'did you mean "builtin:jenkins"?'),
        ({"pipeline": {"configLocation": "builtin:jenkins"}}, "the pipeline would do nothing"),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    plugin: ToolPlugin, fields: dict[str, Any], message: str
) -> None:
    found = mistakes(plugin, {"jenkins": JENKINS, "scm": SCM, "pipeline": PYTHON, **fields})
    assert any(message in summary for summary in found), found


@pytest.mark.parametrize(
    ("path", "follows"),
    [
        (("jenkins", "password"), False),
        (("scm", "token"), True),
        (("scm", "sshPrivateKey"), True),
        (("pipeline", "imageRepo", "password"), True),
    ],
)
def test_a_new_secret_reaches_jenkins_where_jenkins_keeps_it(
    plugin: ToolPlugin, path: tuple[str, ...], follows: bool
) -> None:
    flags = plugin.flags(path)
    assert "secret" in flags
    assert ("record_only" not in flags) == follows


@pytest.mark.parametrize(
    ("scm", "server", "kind", "told"),
    [
        ("github", {}, "multibranch", True),
        ("gitea", {}, "multibranch", True),
        ("bitbucket", {}, "multibranch", True),
        ("gitlab", {}, "pipeline", True),
        ("github", {"webhook": False}, "multibranch", False),
    ],
)
def test_what_decides_the_kind_of_job(scm: str, server: dict[str, Any], kind: str, told: bool) -> None:
    given = options(scm={**SCM, "scmType": scm}, jenkins={**JENKINS, **server})
    assert given.kind == kind
    assert takes_webhooks(given) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"scm": {**SCM, "scmType": "gitea"}, "type": "pipeline"}, False),
        ({"scm": {**SCM, "scmType": "gitlab"}, "type": "multibranch"}, False),
        (
            {
                "scm": {**SCM, "scmType": "gitlab"},
                "type": "multibranch",
                "jenkins": {**JENKINS, "gitlabServer": "g"},
            },
            True,
        ),
        ({"scm": {"scmType": "git", "url": "https://git.example.org/a/b.git"}}, False),
    ],
)
def test_where_no_plugin_takes_webhooks_jenkins_looks(fields: dict[str, Any], told: bool) -> None:
    assert takes_webhooks(options(**fields)) == told


def test_needed_plugins_are_those_of_the_job() -> None:
    assert "gitlab-plugin" in needed_by(options(scm={**SCM, "scmType": "gitlab"}))
    assert "cloudbees-folder" not in needed_by(options())
    assert {"cloudbees-folder", "github-branch-source"} <= set(needed_by(options(jobName="a/b")))
    assert "ssh-credentials" in needed_by(options(jenkins=KEYED, scm={**SCM, "token": "t"}))


@pytest.mark.parametrize(
    ("image", "wants"), [(None, False), ({"user": "u"}, True), ({"user": "u", "password": "p"}, False)]
)
def test_only_a_pipeline_without_a_login_looks_at_upstreams(
    plugin: ToolPlugin, image: dict[str, Any] | None, wants: bool
) -> None:
    traits = plugin.traits({"pipeline": {**PYTHON, **({"imageRepo": image} if image else {})}})
    assert (traits.can_integrate, traits.integrates) == (wants, ("registry",))


# ---- Jenkinsfiles


def rendered(folder: Path, **fields: Any) -> dict[str, str]:
    given, address = options(**fields), Address("jenkins-pipeline", "shop")
    template = template_of(given, PlainContext(folder, address), {}).get()
    files = jenkinsfile(given, template.tree, address)
    return {path: file.content.decode() for path, file in files.items()}


FULL = {
    "imageRepo": {"url": "harbor.example.org/team", "user": "robot", "password": "canary-image"},
    "sonarqube": {"name": "shop", "token": "canary-sonar", "url": "https://sonar.example.org"},
    "dingTalk": {
        "webhook": "https://oapi.dingtalk.com/robot/send?access_token=canary-ding",
        "securityType": "SECRET",
        "securityValue": "canary-value",
    },
    "slack": {"webhook": "https://hooks.slack.example/canary-slack"},
    "webhook": {"url": "https://hook.example.org/canary-hook"},
}
PARTS = [(), ("imageRepo",), ("sonarqube",), ("dingTalk", "slack"), ("webhook",), tuple(FULL)]


@pytest.mark.parametrize("language", ["go", "java", "nodejs", "python"])
@pytest.mark.parametrize("parts", PARTS, ids=["-".join(parts) or "plain" for parts in PARTS])
@pytest.mark.parametrize("kind", ["multibranch", "pipeline"])
def test_every_jenkinsfile_is_balanced_and_holds_no_secret(
    tmp_path: Path, language: str, parts: tuple[str, ...], kind: str
) -> None:
    pipeline = {"language": {"name": language}, **{part: FULL[part] for part in parts}}
    (text,) = rendered(tmp_path, pipeline=pipeline, type=kind).values()
    bare = re.sub(r"'(?:\\.|[^'\\\n])*'", "''", text)
    assert "[[" not in bare
    assert "'" not in bare.replace("''", "").partition("\n")[2]
    for opening, closing in ("{}", "()", "[]"):
        assert bare.count(opening) == bare.count(closing)
    assert "canary" not in text
    assert text.count("stage(") == 1 + ("imageRepo" in parts) + ("sonarqube" in parts)
    assert ("post {" in bare) == bool({"dingTalk", "slack", "webhook"} & set(parts))
    assert ("when {" in bare) == (kind == "multibranch" and "imageRepo" in parts)


def test_secrets_are_asked_for_by_ids_of_this_tool_alone(tmp_path: Path) -> None:
    (text,) = rendered(tmp_path, pipeline={**PYTHON, **FULL}).values()
    ids = set(re.findall(r"credentialsId: '([^']*)'", text))
    assert ids == {
        f"devstream-jenkins-pipeline.shop-{name}"
        for name in (
            "IMAGE_REPO_SECRET",
            "SONAR_SECRET_TOKEN",
            "DINGTALK_SECURITY_TOKEN",
            "DINGTALK_SECURITY_VALUE",
            "SLACK_WEBHOOK",
            "NOTIFY_WEBHOOK",
        )
    }


@pytest.mark.parametrize(
    "payload",
    ["it's", "a\nb", 'say "x"', "\\", "$HOME ${x}", "'''", "*/ //", "\\u0027", "日本", "a'; evil('"],
)
def test_commands_stay_commands(tmp_path: Path, payload: str) -> None:
    (text,) = rendered(tmp_path, pipeline={"test": {"command": [payload]}}).values()
    (written,) = re.findall(r"^ +sh ('(?:\\.|[^'\\\n])*')$", text, re.MULTILINE)
    assert written == groovy(payload)
    assert read_groovy(written) == payload


def read_groovy(literal: str) -> str:
    """Read a Groovy literal: first escapes by code, where the number of backslashes before is odd, then the others."""
    plain = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
    units = re.sub(
        r"\\(u[0-9a-fA-F]{4}|.)",
        lambda found: chr(int(found[1][1:], 16)) if len(found[1]) == 5 else plain.get(found[1], found[1]),
        literal[1:-1],
    )
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ["build", "push", "push"]),
        (
            {"IMAGE_REPO_USER": "robot", "IMAGE_REPO_SECRET": "canary-1"},
            [
                "login --username robot --password-stdin harbor.example.org < canary-1",
                "build",
                "push",
                "push",
            ],
        ),
    ],
)
def test_the_pipeline_logs_in_where_there_is_a_login(
    tmp_path: Path, given: dict[str, str], said: list[str]
) -> None:
    """The script itself runs, with what Jenkins hands it: empty credentials are left unset."""
    (text,) = rendered(
        tmp_path, pipeline={**PYTHON, "imageRepo": {"url": "harbor.example.org/team"}}
    ).values()
    for name in ("IMAGE_REPO_USER", "IMAGE_REPO_SECRET"):
        kept = f"devstream-jenkins-pipeline.shop-{name}"
        assert f"string(credentialsId: '{kept}', variable: '{name}')" in text
    (script,) = re.findall(r"sh ('set -eu.*')$", text, re.MULTILINE)
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\ncase $1 in login) echo "$* < $(cat)";; *) echo "$1";; esac >> "$SAID"\n', encoding="utf-8"
    )
    docker.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(tmp_path / "said"), "GIT_COMMIT": "1f"}
    subprocess.run(["sh", "-c", read_groovy(script)], env={**environ, **given}, check=True)
    assert (tmp_path / "said").read_text(encoding="utf-8").splitlines() == said


def test_several_pipelines_have_files_and_jobs_of_their_own(tmp_path: Path) -> None:
    named = {**PYTHON, "name": "nightly"}
    assert list(rendered(tmp_path, pipeline=named)) == ["Jenkinsfile.nightly"]
    assert options(pipeline=named).job == "shop-nightly"


def test_two_tools_do_not_keep_one_job_or_one_file(plugin: ToolPlugin) -> None:
    given = {"jenkins": JENKINS, "scm": SCM, "pipeline": PYTHON}

    def claims(instance: str) -> set[str]:
        assert plugin.schema is not None
        assert plugin.schema.claims is not None
        return {
            what for what, _ in plugin.schema.claims(Address("jenkins-pipeline", instance), "shop", given)
        }

    assert claims("shop") == {
        "Jenkinsfile of github.com/acme/shop@main",
        "the job shop of https://ci.example.org",
    }
    assert not claims("shop") & claims("shop-nightly")


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "Jenkinsfile").write_text(
        "node { sh [[ test.commandsGroovy[0] ]] } // [[ .AppName ]]\n"
    )
    (tmp_path / "ci" / "README.md").write_text("[[ not a template")
    (text,) = rendered(
        tmp_path, pipeline={"configLocation": "ci", "test": {"command": ["make 'it'"]}}
    ).values()
    assert text == "node { sh 'make \\'it\\'' } // shop\n"
    (tmp_path / "ci" / "other").write_text("x")
    with pytest.raises(OperationError, match="has 2 templates"):
        rendered(tmp_path, pipeline={"configLocation": "ci"})
