"""Every pipeline that is shipped, in every combination of options: rendered, held to the vendor's schema, and run."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import msgspec
import pytest
import yaml

from devstream.api import Secret
from devstream.testing.service import Request, Response, Service, route
from devstream_plugin_scm import ci_options
from devstream_plugin_scm.ci_kinds import KINDS
from devstream_plugin_scm.ci_notify import notify_script
from devstream_plugin_scm.ci_rendering import Place, render, variables_of
from devstream_plugin_scm.ci_secrets import names_for
from devstream_plugin_scm.examples import GENERIC
from devstream_plugin_scm.options import LANGUAGES, Pipeline, defaults_for
from devstream_plugin_scm.sources import read_location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.conftest import Workplace

CANARY = "canary-4f1c"


@dataclass(frozen=True)
class System:
    """A CI system under test: its options, a forge it works on, and the schema of its vendor."""

    options: type[ci_options.PipelineOptions]
    scm: str
    schema: str
    file: str
    named: str


SYSTEMS = {
    "github-actions": System(
        ci_options.GithubActionsOptions,
        "github",
        "github-workflows",
        ".github/workflows/main.yml",
        ".github/workflows/lint.yml",
    ),
    "gitea-actions": System(
        ci_options.GiteaActionsOptions,
        "gitea",
        "github-workflows",
        ".gitea/workflows/main.yml",
        ".gitea/workflows/lint.yml",
    ),
    "gitlab-ci": System(
        ci_options.GitlabCiOptions, "gitlab", "gitlab-ci", ".gitlab-ci.yml", ".gitlab/ci/lint.yml"
    ),
    "bitbucket-pipelines": System(
        ci_options.BitbucketOptions,
        "bitbucket",
        "bitbucket-pipelines",
        "bitbucket-pipelines.yml",
        "bitbucket-pipelines.yml",
    ),
    "circleci": System(
        ci_options.CircleCiOptions, "github", "circle-ci", ".circleci/config.yml", ".circleci/config.yml"
    ),
    "travis-ci": System(ci_options.TravisCiOptions, "github", "travis", ".travis.yml", ".travis.yml"),
}
REGISTRIES: dict[str, dict[str, str]] = {
    "ghcr": {"url": "ghcr.io", "user": "Team", "password": CANARY},
    "own-token": {"url": "ghcr.io", "user": "team"},
    "hub": {"user": "team", "password": CANARY},
    "harbor": {
        "url": "https://harbor.example.org:8443",
        "user": "robot$ci",
        "password": CANARY,
        "image": "harbor.example.org:8443/shop/hello",
    },
}
ODD = ["echo 'it''s' \"$HOME\" \\ # no comment: really", "cat <<EOF\n{{ x }} [[ $y\nEOF", "printf '%s\\n' ü"]
TESTS: dict[str, dict[str, Any]] = {
    "usual": {},
    "odd": {"command": ODD, "containerName": "registry.example.org:5000/a/b:1@sha256:00"},
    "coverage": {"coverageCommand": "coverage run", "CoverageStatusCommand": "coverage report | tail -1"},
    "none": {"enable": False},
}
SONAR = {"name": "team_shop", "token": CANARY, "url": "https://sonar.example.org"}
TOLD: dict[str, dict[str, Any]] = {
    "nobody": {},
    "everybody": {
        "dingTalk": {
            "name": "n",
            "webhook": f"https://oapi.dingtalk.com/robot/send?access_token={CANARY}",
            "securityType": "SECRET",
            "securityValue": CANARY,
            "atUsers": "123, 456",
        },
        "slack": {"webhook": f"https://hooks.slack.com/{CANARY}"},
        "webhook": {"url": f"https://example.org/{CANARY}"},
    },
}


def combinations() -> Iterator[dict[str, Any]]:
    """Yield every pipeline that does something."""
    for language, test, registry, sonar, told in itertools.product(
        (*LANGUAGES, "cobol"), TESTS, (None, *REGISTRIES), (False, True), TOLD
    ):
        options = {
            "language": {"name": language},
            "test": TESTS[test],
            **({"imageRepo": REGISTRIES[registry]} if registry else {}),
            **({"sonarqube": SONAR} if sonar else {}),
            **TOLD[told],
        }
        tested = test != "none" and (language != "cobol" or bool(TESTS[test].get("command")))
        if tested or registry or sonar:
            yield options


COMBINATIONS = list(combinations())


@cache
def schema(name: str) -> Any:
    """Give a vendor's schema, ready to hold things to."""
    import check_jsonschema  # type: ignore[import-untyped]  # it has no types

    path = Path(check_jsonschema.__file__).parent / f"builtin_schemas/vendor/{name}.json"
    return jsonschema.Draft7Validator(json.loads(path.read_text()))


def secret_of(wanted: type, value: object) -> object:
    return Secret.plain(str(value)) if wanted is Secret else value


def rendered(tool: str, pipeline: Mapping[str, Any], name: str = "") -> dict[str, str]:
    """Render a pipeline as the tool does."""
    system = SYSTEMS[tool]
    scm = {"scmType": system.scm, "owner": "acme", "name": "hello"}
    options = msgspec.convert({"scm": scm, "pipeline": pipeline}, system.options, dec_hook=secret_of)
    place = Place(KINDS[options.kind_name], options.scm, name)
    templates = read_location(options.location, folder=Path(), shipped="pipelines")
    files = render(place, templates, variables_of(options.pipeline, place))
    return {path: file.content.decode() for path, file in files.items()}


def parsed(text: str) -> Any:
    """Read YAML; what is `on` to people is True to YAML 1.1."""
    data = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in data.items()}


def held_to(tool: str, text: str) -> Any:
    """Read a pipeline and hold it to its vendor's schema."""
    data = parsed(text)
    mistakes = [
        f"{error.json_path}: {error.message[:300]}"
        for error in schema(SYSTEMS[tool].schema).iter_errors(data)
    ]
    assert not mistakes, f"{mistakes}\n{text}"
    return data


def every(tool: str, combinations: list[dict[str, Any]]) -> None:
    for options in combinations:
        ((path, text),) = rendered(tool, options).items()
        assert path == SYSTEMS[tool].file
        assert CANARY not in text
        data = held_to(tool, text)
        steps = scripts(tool, data)
        for command in options["test"].get("command", ()) if options["test"].get("enable", True) else ():
            assert any(command in step or "docker run" in step for step in steps), text


def scripts(tool: str, data: Any) -> list[str]:
    """Give every piece of shell in a pipeline."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in {"run", "command"} and isinstance(value, str):
                    found.append(value.replace("\\<<", "<<") if tool == "circleci" else value)
                elif key in {"script", "after-script", "after_success", "after_failure"}:
                    found.extend(str(line) for line in value)
                else:
                    walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(data)
    return found


@pytest.mark.parametrize("tool", SYSTEMS)
def test_some_combinations_are_valid_and_hold_no_secret(tool: str) -> None:
    """A sample, the same each time; the slow one has them all."""
    every(tool, COMBINATIONS[::13])


@pytest.mark.slow
@pytest.mark.parametrize("tool", SYSTEMS)
def test_every_combination_is_valid_and_holds_no_secret(tool: str) -> None:
    every(tool, COMBINATIONS)


@pytest.mark.parametrize("tool", SYSTEMS)
def test_every_script_is_one_that_a_shell_takes(tool: str) -> None:
    for options in COMBINATIONS[::37]:
        ((_, text),) = rendered(tool, options).items()
        for script in scripts(tool, parsed(text)):
            done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
            assert done.returncode == 0, f"{done.stderr}\n{script}"


def test_circleci_takes_no_heredoc_for_a_parameter() -> None:
    """CircleCI reads two smaller-than signs as its own, unless a backslash stands before them."""
    ((_, text),) = rendered("circleci", {"test": TESTS["odd"]}).items()
    steps = parsed(text)["jobs"]["test"]["steps"]
    assert "cat \\<<EOF\n{{ x }} [[ $y\nEOF" in [step["run"] for step in steps if step != "checkout"]


@pytest.mark.parametrize("tool", SYSTEMS)
def test_a_named_pipeline_has_its_own_file_and_its_own_secrets(tool: str) -> None:
    options = {
        "language": {"name": "go"},
        "imageRepo": REGISTRIES["hub"],
        "sonarqube": SONAR,
        **TOLD["everybody"],
    }
    files = rendered(tool, options, "lint")
    text = files.pop(SYSTEMS[tool].named)
    held_to(tool, text)
    for usual, own in names_for("lint").items():
        assert own in text
        assert text.count(usual) == text.count(own)
    if tool == "gitlab-ci":
        assert parsed(files.pop(".gitlab-ci.yml")) == {"include": [{"local": ".gitlab/ci/*.yml"}]}
        assert {job for job in parsed(text) if job != "stages"} >= {"lint-test", "lint-build-image"}
    assert not files


@pytest.mark.parametrize(
    ("registry", "host", "image"),
    [
        ({}, "", "hello"),
        ({"user": "Team"}, "", "team/hello"),
        ({"url": "https://index.docker.io/v1/", "user": "team"}, "", "team/hello"),
        ({"url": "ghcr.io", "user": "team"}, "ghcr.io", "ghcr.io/team/hello"),
        ({"url": "https://ghcr.io/acme/"}, "ghcr.io", "ghcr.io/acme/hello"),
        (
            {"url": "harbor.example.org:8443/team"},
            "harbor.example.org:8443",
            "harbor.example.org:8443/team/hello",
        ),
        (
            {
                "url": "1.dkr.ecr.eu-west-1.amazonaws.com",
                "user": "AWS",
                "image": "1.dkr.ecr.eu-west-1.amazonaws.com/x",
            },
            "1.dkr.ecr.eu-west-1.amazonaws.com",
            "1.dkr.ecr.eu-west-1.amazonaws.com/x",
        ),
    ],
)
def test_registries(registry: dict[str, str], host: str, image: str) -> None:
    text = rendered("gitlab-ci", {"imageRepo": registry, "test": {"enable": False}})[".gitlab-ci.yml"]
    job = parsed(text)["build-image"]
    assert job["variables"]["IMAGE"] == image
    assert job["script"][0].partition("--password-stdin")[2].strip() == host


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ({}, r"would do nothing: give test.command, imageRepo or sonarqube \(only go, java"),
        ({"language": {"name": "go"}, "test": {"enable": False}}, "would do nothing"),
        ({"language": {"name": "go", "version": "1; rm"}}, "cannot be a version"),
        ({"test": {"command": ["a", " "]}}, "a command is empty"),
        ({"test": {"command": ["a"], "containerName": "a b"}}, "cannot be the name of an image"),
        ({"imageRepo": {"url": "https://u:p@x.org"}}, "is not the address of a registry"),
        ({"imageRepo": {"url": "x.org; reboot"}}, "cannot be the address of a registry"),
        ({"imageRepo": {"user": "robot$ci"}}, "give its whole name in imageRepo.image"),
        ({"imageRepo": {"image": "x:$(reboot)"}}, "cannot be the name of an image"),
        ({"sonarqube": {"name": "a b"}}, "cannot be the key of a project"),
        ({"sonarqube": {"name": "a", "url": "https://$x"}}, "cannot be the address of a server"),
        ({"dingTalk": {"securityType": "WORD"}}, "none of: KEY, SECRET"),
        ({"dingTalk": {"securityType": "KEY"}}, "needs a securityValue"),
        ({"dingTalk": {"atUsers": '"$(reboot)"'}}, "cannot be a list of users"),
        ({"name": "a_b"}, "cannot be the name of a pipeline"),
        ({"configLocation": "builtin:circlecl"}, 'did you mean "builtin:circleci"'),
        ({"slack": {}}, "webhook"),
    ],
)
def test_options_that_are_refused(pipeline: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rendered("github-actions", pipeline)


@pytest.mark.parametrize(
    ("tool", "scm"),
    [
        ("gitlab-ci", "github"),
        ("bitbucket-pipelines", "gitea"),
        ("travis-ci", "gitea"),
        ("gitea-actions", "github"),
    ],
)
def test_a_service_that_the_system_does_not_look_at(tool: str, scm: str) -> None:
    options = {"scm": {"scmType": scm, "owner": "a", "name": "b"}, "pipeline": {"language": {"name": "go"}}}
    with pytest.raises(ValueError, match=f"does not look at repositories on {scm}"):
        msgspec.convert(options, SYSTEMS[tool].options)


def test_a_runner_of_ones_own_is_refused_and_false_is_fine() -> None:
    scm = {"scmType": "gitlab", "owner": "a", "name": "b"}
    options: dict[str, Any] = {
        "scm": scm,
        "pipeline": {"language": {"name": "go"}},
        "runner": {"enable": False},
    }
    msgspec.convert(options, ci_options.GitlabCiOptions)
    options["runner"] = {"enable": True}
    with pytest.raises(ValueError, match="installing a GitLab runner is not available"):
        msgspec.convert(options, ci_options.GitlabCiOptions)


def test_the_defaults_of_a_language_follow_its_version_and_framework() -> None:
    go = msgspec.convert({"language": {"name": "Golang", "version": "1.23"}}, Pipeline)
    assert go.container == "golang:1.23"
    django = msgspec.convert({"language": {"name": "python", "frameWork": "Django"}}, Pipeline)
    assert django.commands[-1] == "python3 manage.py test"
    assert {defaults_for(name) is not None for name in LANGUAGES} == {True}


# what is rendered is checked by the tools that people check it with


def linter(name: str) -> str:
    """Give the path of a linter; skip where it is not here."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not here")
    return found


def actionlint(folder: Path, texts: Mapping[str, str], *options: str) -> None:
    """Let actionlint read workflows: expressions, needs, actions that are too old."""
    command = [linter("actionlint"), "-no-color", "-oneline", "-pyflakes=", *options]
    for name, text in texts.items():
        (folder / name).write_text(text)
    done = subprocess.run([*command, *texts], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def workflows(tool: str, combinations: list[dict[str, Any]]) -> dict[str, str]:
    """Render a workflow for each combination, half of them under a name of their own."""
    found = {}
    for number, options in enumerate(combinations):
        ((_, text),) = rendered(tool, options, "lint" if number % 2 else "").items()
        found[f"{number}.yml"] = text
    return found


ACTIONS = ("github-actions", "gitea-actions")


@pytest.mark.parametrize("tool", ACTIONS)
def test_actionlint_finds_nothing_in_a_sample(tool: str, tmp_path: Path) -> None:
    actionlint(tmp_path, workflows(tool, COMBINATIONS[5::17]), "-shellcheck=")


@pytest.mark.slow
@pytest.mark.parametrize("tool", ACTIONS)
def test_actionlint_finds_nothing(tool: str, tmp_path: Path) -> None:
    """With shellcheck, in every script as well."""
    actionlint(tmp_path, workflows(tool, COMBINATIONS), f"-shellcheck={linter('shellcheck')}")


def test_actionlint_finds_what_is_wrong(tmp_path: Path) -> None:
    ((_, text),) = rendered("github-actions", {"language": {"name": "go"}}).items()
    with pytest.raises(AssertionError, match="expression"):
        actionlint(tmp_path, {"a.yml": text + "      - run: ${{ nothing }}\n"}, "-shellcheck=")


@pytest.mark.slow
@pytest.mark.parametrize("tool", SYSTEMS)
def test_shellcheck_finds_nothing(tool: str, tmp_path: Path) -> None:
    found = set()
    for options in COMBINATIONS:
        if options["test"] is not TESTS["odd"]:  # those are as odd as can be, on purpose
            ((_, text),) = rendered(tool, options).items()
            found.update(scripts(tool, parsed(text)))
    command = [linter("shellcheck"), "--shell=sh", "--severity=warning", "--format=gcc"]
    for number, script in enumerate(sorted(found)):
        (tmp_path / f"{number}.sh").write_text(script)
    names = [path.name for path in tmp_path.iterdir()]
    done = subprocess.run([*command, *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_example_of_ci_generic_is_a_workflow(place: Workplace, tmp_path: Path) -> None:
    ((name, text),) = GENERIC["ci"]["configContents"].items()
    place.scaffold()
    bench = place.bench("ci-generic", scm={"scmType": "local", "name": "hello"}, ci=GENERIC["ci"])
    bench.create()
    assert place.show(f".github/workflows/{name}") == text
    held_to("github-actions", text)
    actionlint(tmp_path, {name: text}, "-shellcheck=")


@pytest.mark.parametrize(
    ("tool", "name"),
    [(tool, name) for tool in SYSTEMS for name in LANGUAGES if name == "python" or tool == "gitlab-ci"],
)
def test_every_system_tests_in_the_version_that_is_asked_for(tool: str, name: str) -> None:
    usual, own = (
        rendered(tool, {"language": {"name": name, **version}})[SYSTEMS[tool].file]
        for version in ({}, {"version": "1.2.3-odd"})
    )
    defaults = defaults_for(name)
    assert defaults is not None
    assert defaults.image_for("") in usual
    assert defaults.image.format("1.2.3-odd") in own
    assert own.replace("1.2.3-odd", defaults.version) == usual


# what is rendered is run


def steps_of(tool: str, pipeline: dict[str, Any]) -> list[str]:
    """Give the commands with which a pipeline tests, as they run in the container."""
    ((_, text),) = rendered(tool, pipeline).items()
    steps = [script for script in scripts(tool, parsed(text)) if "git fetch" not in script]
    return [shlex.join(shlex.split(step)[-3:]) if step.startswith("docker run") else step for step in steps]


def run_by_local_ci(place: Workplace, tool: str, language: str, broken: dict[str, str]) -> None:
    """Run the steps of a pipeline for each push: they pass, and find what is broken."""
    pipeline = {"language": {"name": language}, "test": {"coverageCommand": "echo covered"}}
    ci = place.local_ci(*steps_of(tool, pipeline))
    status = ci.create()
    log = Path(status.info["ci"]["log"])
    assert status.info["ci"]["result"] == "passed", log.read_text()
    assert "covered" in log.read_text()
    assert "CI FAILED" in place.push(place.clone(), broken).stderr


EACH = [tool if tool == "gitlab-ci" else pytest.param(tool, marks=pytest.mark.slow) for tool in SYSTEMS]


@pytest.mark.parametrize("tool", EACH)
def test_local_ci_runs_the_pipeline_of_a_python_app(place: Workplace, tool: str) -> None:
    place.scaffold()
    run_by_local_ci(place, tool, "python", {"service.py": "syntax error\n"})


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm")
@pytest.mark.parametrize("tool", EACH)
@pytest.mark.parametrize("locked", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_local_ci_runs_the_pipeline_of_a_node_app(place: Workplace, tool: str, locked: bool) -> None:
    package = {"name": "a", "version": "1.0.0", "scripts": {"test": "node --test"}}
    lock = {**package, "lockfileVersion": 3, "requires": True, "packages": {"": package}}
    files = {"package.json": json.dumps(package), "a.test.js": "require('node:test')('it', () => {});\n"}
    place.scaffold(
        url=place.template({**files, **({"package-lock.json": json.dumps(lock)} if locked else {})})
    )
    run_by_local_ci(place, tool, "nodejs", {"a.test.js": "throw new Error('no');\n"})


class Listener(Service):
    """Takes every message, or refuses them."""

    @route("POST", "/{anything...}")
    def post(self, request: Request) -> Response:
        """Take one."""
        return Response(200, {"ok": bool(request.json)})


@pytest.mark.parametrize("kind", ["KEY", "SECRET", ""])
def test_people_are_told(kind: str, tmp_path: Path) -> None:
    with Listener() as listener:
        value = (
            {"securityType": kind, "securityValue": "w'o\"rd" if kind == "SECRET" else "word"} if kind else {}
        )
        pipeline = {
            "dingTalk": {"webhook": f"{listener.url}/ding?access_token=t", "atUsers": "1, 2", **value},
            "slack": {"webhook": f"{listener.url}/slack/{CANARY}"},
            "webhook": {"url": f"{listener.url}/hook"},
        }
        options = msgspec.convert(pipeline, Pipeline, dec_hook=secret_of)
        names = names_for("lint")
        lines = notify_script(options, "hello", names)
        secrets = {
            names["DINGTALK_SECURITY_TOKEN"]: pipeline["dingTalk"]["webhook"],
            names["DINGTALK_SECURITY_VALUE"]: value.get("securityValue", ""),
            names["SLACK_WEBHOOK"]: pipeline["slack"]["webhook"],
            names["NOTIFY_WEBHOOK"]: pipeline["webhook"]["url"],
        }
        facts = {"RESULT": "failed", "COMMIT": "c0ffee", "LINK": "https://ci.example.org/1"}
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **facts, **secrets}
        done = subprocess.run(
            ["sh", "-eu"], input="\n".join(lines), text=True, env=environment, capture_output=True, check=True
        )
        assert CANARY not in done.stdout + done.stderr
        ding, slack, hook = listener.requests
        text = "hello: failed (c0ffee) https://ci.example.org/1"
        assert ding.json["text"]["content"] == (f"word {text}" if kind == "KEY" else text)
        assert ding.json["at"] == {"atMobiles": ["1", "2"]}
        assert slack.json == {"text": text}
        assert hook.json == {
            "app": "hello",
            "result": "failed",
            "commit": "c0ffee",
            "url": "https://ci.example.org/1",
        }
        if kind == "SECRET":
            assert ding.query["sign"] == signature(ding.query["timestamp"], value["securityValue"])


def signature(timestamp: str, secret: str) -> str:
    """Sign as DingTalk does."""
    import base64
    import hashlib
    import hmac

    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def test_a_message_that_is_refused_says_so_without_the_address(tmp_path: Path) -> None:
    with Listener() as listener:
        listener.fail("POST", "/", status=404, times=9)
        options = msgspec.convert({"slack": {"webhook": "x"}}, Pipeline, dec_hook=secret_of)
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "RESULT": "",
            "COMMIT": "",
            "LINK": "",
            "SLACK_WEBHOOK": f"{listener.url}/{CANARY}",
        }
        lines = notify_script(options, "hello", names_for(""))
        done = subprocess.run(
            ["sh", "-eu"],
            input="\n".join(lines),
            text=True,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode != 0
        assert "404" in done.stderr
        assert CANARY not in done.stderr
