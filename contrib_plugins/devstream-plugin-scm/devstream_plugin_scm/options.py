"""Options of pipelines, in DevStream's names, and what they default to by language."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Struct, field

from devstream.api import Secret, WrongOption, nearest, option
from devstream_plugin_scm.repo_url import without_login

__all__ = [
    "Language",
    "Test",
    "ImageRepo",
    "SonarQube",
    "DingTalk",
    "Slack",
    "Webhook",
    "Pipeline",
    "LanguageDefaults",
    "defaults_for",
    "LANGUAGES",
]

_IMAGE = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_PROJECT_KEY = re.compile(r"[A-Za-z0-9_.:-]+")
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:/_~%-]+")
_PEOPLE = re.compile(r"[\w+.@ ,-]*")
_PIPELINE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")
_DOCKER_HUB = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"})


def _check(option_name: str, pattern: re.Pattern[str], value: str, what: str) -> None:
    if value and not pattern.fullmatch(value):
        message = f"{value!r} cannot be {what}"
        raise WrongOption(message, option_name)


class Language(Struct, kw_only=True):
    """The language of an app."""

    name: Annotated[str, option("`go`, `java`, `nodejs` or `python`.")] = ""
    version: Annotated[str, option("Its version; by default one that is known to work.")] = ""
    framework: Annotated[str, option("The framework.")] = ""
    frame_work: Annotated[str, option("The framework, as DevStream wrote it.")] = field(
        name="frameWork", default=""
    )

    def __post_init__(self) -> None:
        """Check the version: it becomes part of an image's name.

        Raises:
            ValueError: it is none.
        """
        _check("version", _CONTAINER, self.version, "a version")


class Test(Struct, kw_only=True, rename="camel"):
    """How a pipeline tests."""

    enable: Annotated[bool, option("Whether it tests at all.")] = True
    command: Annotated[list[str], option("Commands, in order; by default those of the language.")] = field(
        default_factory=list
    )
    container_name: Annotated[str, option("The image to test in; by default that of the language.")] = ""
    coverage_command: Annotated[str, option("A command that measures coverage.")] = ""
    coverage_status_command: Annotated[str, option("A command that prints the coverage.")] = field(
        name="CoverageStatusCommand", default=""
    )

    def __post_init__(self) -> None:
        """Check the image and the commands.

        Raises:
            ValueError: the image cannot be one, or a command is empty.
        """
        _check("containerName", _CONTAINER, self.container_name, "the name of an image")
        if not all(command.strip() for command in self.command):
            message = "a command is empty"
            raise WrongOption(message, "command")


class ImageRepo(Struct, kw_only=True):
    """Where images are pushed to. The password is not written into pipelines: they name a secret."""

    url: Annotated[
        str,
        option(
            "The registry, with a path where it wants one: `ghcr.io`, `harbor.example.org/team`; by default Docker Hub.",
            plain=True,
        ),
    ] = ""
    user: Annotated[str, option("The user, and the namespace of the image.", plain=True)] = ""
    password: Annotated[Secret | None, option("The password.", secret=True)] = None
    image: Annotated[
        str,
        option(
            "The image's whole name, without a tag; by default `url/user/<repository>`. Give it where the user is no "
            "namespace, as on ECR (`AWS`) or for a robot of Harbor.",
            plain=True,
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Check what becomes part of commands.

        Raises:
            ValueError: it cannot be part of an image's name.
        """
        if "@" in self._place or (self.url and not self.host and not self._is_docker_hub):
            message = f'"{without_login(self.url)}" is not the address of a registry'
            hint = "user and password have options of their own" if "@" in self.url else ""
            raise WrongOption(message, "url", suggestion=hint)
        _check("url", _IMAGE, self._place.lower(), "the address of a registry")
        _check("image", _IMAGE, self.image, "the name of an image, without a tag")
        if not self.image and self.user and not _IMAGE.fullmatch(self.user.lower()):
            message = (
                f"{self.user!r} cannot be part of an image's name: give its whole name in imageRepo.image"
            )
            raise WrongOption(message, "user")

    @property
    def _place(self) -> str:
        """The url without its scheme."""
        return (self.url.partition("://")[2] or self.url).strip("/")

    @property
    def _is_docker_hub(self) -> bool:
        return self._place.partition("/")[0] in _DOCKER_HUB

    @property
    def host(self) -> str:
        """What is logged in to; empty for Docker Hub."""
        return "" if self._is_docker_hub else self._place.partition("/")[0].lower()

    def name_for(self, app_name: str) -> str:
        """Give the image's name without a tag."""
        if self.image:
            return self.image
        path = "" if self._is_docker_hub else self._place
        return "/".join(part.strip("/") for part in (path, self.user, app_name) if part).lower()


class SonarQube(Struct, kw_only=True):
    """A SonarQube server that looks at the code."""

    name: Annotated[str, option("Key of the project.", plain=True)]
    token: Annotated[Secret | None, option("Its token.", secret=True)] = None
    url: Annotated[str, option("The server; by default SonarQube Cloud.", plain=True)] = ""

    def __post_init__(self) -> None:
        """Check what is written into the pipeline.

        Raises:
            ValueError: it is no key, or no URL.
        """
        _check("name", _PROJECT_KEY, self.name, "the key of a project")
        _check("url", _PLAIN_URL, self.url, "the address of a server: https://HOST")


class DingTalk(Struct, kw_only=True, rename="camel"):
    """A DingTalk robot that is told of results."""

    name: Annotated[str, option("Its name.", plain=True)] = ""
    webhook: Annotated[Secret | None, option("Its webhook.", secret=True)] = None
    security_type: Annotated[str, option("`KEY` (a word in each message), or `SECRET` (a signature).")] = ""
    security_value: Annotated[Secret | None, option("Key or secret.", secret=True)] = None
    at_users: Annotated[str, option("Mobile numbers of whom it mentions, with commas between them.")] = ""

    def __post_init__(self) -> None:
        """Check that it can be told anything.

        Raises:
            ValueError: the kind of security is none of DingTalk's, or its value is missing.
        """
        if self.security_type not in {"", "KEY", "KEYWORD", "SECRET"}:
            message = f'securityType "{self.security_type}" is none of: KEY, SECRET'
            raise WrongOption(message, "securityType")
        if self.security_type and self.security_value is None:
            message = f"securityType: {self.security_type} needs a securityValue"
            raise WrongOption(message, "securityType")
        _check("atUsers", _PEOPLE, self.at_users, "a list of users")


class Slack(Struct, kw_only=True):
    """A channel of Slack that is told of results."""

    webhook: Annotated[Secret, option("Its incoming webhook.", secret=True)]


class Webhook(Struct, kw_only=True):
    """Any service that is told of results: it gets `{app, result, commit, url}` as JSON."""

    url: Annotated[Secret, option("Where it is posted to.", secret=True)]


class Pipeline(Struct, kw_only=True, rename="camel"):
    """What DevStream's pipeline tools have in common."""

    name: Annotated[
        str,
        option(
            "Name of this pipeline, where a repository has several: it is in the file's name and in the names of its "
            "secrets. By default what `name` of an app's ci item says."
        ),
    ] = ""
    config_location: Annotated[
        str,
        option(
            "Template of the pipeline: `builtin:NAME`, a file, a folder, an archive, a file by https, or a git "
            "repository as `URL//PATH?ref=VERSION`; by default the one shipped."
        ),
    ] = ""
    image_repo: Annotated[ImageRepo | None, option("Where images are pushed to.")] = None
    ding_talk: Annotated[DingTalk | None, option("A DingTalk robot that is told of results.")] = None
    slack: Annotated[Slack | None, option("A channel of Slack that is told of results.")] = None
    webhook: Annotated[Webhook | None, option("Another service that is told of results.")] = None
    sonarqube: Annotated[SonarQube | None, option("A SonarQube server.")] = None
    language: Annotated[Language, option("Language of the app.")] = field(default_factory=Language)
    test: Annotated[Test, option("How it tests.")] = field(default_factory=Test)

    def __post_init__(self) -> None:
        """Check the name.

        Raises:
            ValueError: it cannot be in a file's name and in a secret's.
        """
        _check("name", _PIPELINE_NAME, self.name, "the name of a pipeline: small letters, digits and dashes")

    @property
    def commands(self) -> list[str]:
        """What tests the app in its container, in order; empty where it is not tested."""
        if not self.test.enable:
            return []
        defaults = defaults_for(self.language.name)
        commands = self.test.command or (defaults.commands_for(self.framework) if defaults else [])
        more = (self.test.coverage_command, self.test.coverage_status_command) if commands else ()
        return [*commands, *filter(None, more)]

    @property
    def framework(self) -> str:
        """The framework, in small letters."""
        return (self.language.framework or self.language.frame_work).casefold()

    @property
    def container(self) -> str:
        """The image that it is tested in; empty for the CI system's own."""
        defaults = defaults_for(self.language.name)
        return self.test.container_name or (defaults.image_for(self.language.version) if defaults else "")

    def check_that_it_does_something(self) -> None:
        """Refuse a pipeline without a step.

        Raises:
            ValueError: it has none.
        """
        if not (self.commands or self.image_repo or self.sonarqube):
            known = f" (only {', '.join(LANGUAGES)} are tested by default)" if self.test.enable else ""
            message = f"the pipeline would do nothing: give test.command, imageRepo or sonarqube{known}"
            name = self.language.name
            near = nearest(name, LANGUAGES) if name and self.test.enable else ""
            raise WrongOption(message, "pipeline.language.name" if near else "pipeline", suggestion=near)


class LanguageDefaults(Struct, frozen=True):
    """What is known of a language.

    Attributes:
        version: used where the options name none.
        image: the image it is tested in; ``{}`` stands for the version.
        commands: what tests it.
        prepare: what comes before that in a fresh container.
        frameworks: what tests it instead, by framework.
    """

    version: str
    image: str
    commands: tuple[str, ...]
    prepare: tuple[str, ...] = ()
    frameworks: dict[str, tuple[str, ...]] = {}

    def image_for(self, version: str) -> str:
        """Give the image for a version; empty for the usual one."""
        return self.image.format(version or self.version)

    def commands_for(self, framework: str) -> list[str]:
        """Give what prepares and tests an app in a fresh container."""
        return [*self.prepare, *self.frameworks.get(framework, self.commands)]


def defaults_for(language: str) -> LanguageDefaults | None:
    """Give what is known of a language by its name, in any case."""
    return _DEFAULTS.get(_ALIASES.get(language.casefold(), language.casefold()))


_DEFAULTS = {
    "go": LanguageDefaults(
        "1.26",
        "golang:{}",
        ("go vet ./...", "go test ./..."),
        prepare=("if [ ! -f go.sum ]; then go mod tidy; fi",),
    ),
    "java": LanguageDefaults("25", "maven:3.9-eclipse-temurin-{}", ("mvn -B test",)),
    "nodejs": LanguageDefaults(
        "24",
        "node:{}",
        ("if [ -f package-lock.json ]; then npm ci; else npm install; fi", "npm test"),
    ),
    "python": LanguageDefaults(
        "3.14",
        "python:{}",
        ("python3 -m unittest discover",),
        prepare=("if [ -f requirements.txt ]; then python3 -m pip install -r requirements.txt; fi",),
        frameworks={"django": ("python3 manage.py test",)},
    ),
}
_ALIASES = {
    "golang": "go",
    "javascript": "nodejs",
    "node": "nodejs",
    "typescript": "nodejs",
    "python3": "python",
}
LANGUAGES = tuple(sorted(_DEFAULTS))
"""The languages that have defaults."""
