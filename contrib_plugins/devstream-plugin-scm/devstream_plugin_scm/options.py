"""Options of pipelines, in DevStream's names, and what they default to by language."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct, field

from devstream.api import Secret, option

__all__ = [
    "Language",
    "Test",
    "ImageRepo",
    "SonarQube",
    "DingTalk",
    "Pipeline",
    "LanguageDefaults",
    "defaults_for",
    "LANGUAGES",
]


class Language(Struct, kw_only=True):
    """The language of an app."""

    name: Annotated[str, option("`go`, `java`, `nodejs` or `python`.")] = ""
    version: Annotated[str, option("Its version; by default one that is known to work.")] = ""
    framework: Annotated[str, option("The framework.")] = ""
    frame_work: Annotated[str, option("The framework, as DevStream wrote it.")] = field(
        name="frameWork", default=""
    )


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


class ImageRepo(Struct, kw_only=True):
    """Where images are pushed to. The password is not written into pipelines: they name a secret."""

    url: Annotated[str, option("The registry; by default Docker Hub.", plain=True)] = ""
    user: Annotated[str, option("The user, and the namespace of the image.", plain=True)] = ""
    password: Annotated[Secret | None, option("The password.", secret=True, record_only=True)] = None

    def variables(self, app_name: str) -> dict[str, str]:
        """Give what a template may use; ``image`` is the whole name without a tag."""
        host = self.url.partition("://")[2] or self.url
        image = "/".join(part.strip("/") for part in (host, self.user, app_name.lower()) if part)
        return {"url": self.url, "user": self.user, "image": image}


class SonarQube(Struct, kw_only=True):
    """A SonarQube server that looks at the code."""

    name: Annotated[str, option("Key of the project.", plain=True)]
    token: Annotated[Secret | None, option("Its token.", secret=True, record_only=True)] = None
    url: Annotated[str, option("The server.", plain=True)] = ""


class DingTalk(Struct, kw_only=True, rename="camel"):
    """A DingTalk robot that is told of results."""

    name: Annotated[str, option("Its name.", plain=True)] = ""
    webhook: Annotated[Secret | None, option("Its webhook.", secret=True, record_only=True)] = None
    security_type: Annotated[str, option("`KEY` or `SECRET`.")] = ""
    security_value: Annotated[Secret | None, option("Key or secret.", secret=True, record_only=True)] = None
    at_users: Annotated[str, option("Whom it mentions.")] = ""


class Pipeline(Struct, kw_only=True, rename="camel"):
    """What DevStream's pipeline tools have in common."""

    config_location: Annotated[
        str,
        option("Template of the pipeline: `builtin:NAME`, a file or a folder; by default the one shipped."),
    ] = ""
    image_repo: Annotated[ImageRepo | None, option("Where images are pushed to.")] = None
    ding_talk: Annotated[DingTalk | None, option("Who is told of results.")] = None
    sonarqube: Annotated[SonarQube | None, option("A SonarQube server.")] = None
    language: Annotated[Language, option("Language of the app.")] = field(default_factory=Language)
    test: Annotated[Test, option("How it tests.")] = field(default_factory=Test)

    def variables(self, app_name: str) -> dict[str, Any]:
        """Give what a template may use, without anything secret."""
        defaults = defaults_for(self.language.name)
        return {
            "language": {
                "name": self.language.name,
                "version": self.language.version or (defaults.version if defaults else ""),
                "framework": self.language.framework or self.language.frame_work,
            },
            "test": {
                "enable": self.test.enable and bool(self.test.command or defaults),
                "command": self.test.command or list(defaults.commands if defaults else ()),
                "containerName": self.test.container_name or (defaults.image if defaults else ""),
                "coverageCommand": self.test.coverage_command,
                "CoverageStatusCommand": self.test.coverage_status_command,
            },
            "imageRepo": self.image_repo and self.image_repo.variables(app_name),
            "sonarqube": self.sonarqube and {"name": self.sonarqube.name, "url": self.sonarqube.url},
            "dingTalk": self.ding_talk and {"name": self.ding_talk.name, "atUsers": self.ding_talk.at_users},
        }


class LanguageDefaults(Struct, frozen=True):
    """What is known of a language.

    Attributes:
        version: used where the options name none.
        image: the image it is tested in.
        commands: what tests it there.
    """

    version: str
    image: str
    commands: tuple[str, ...]


def defaults_for(language: str) -> LanguageDefaults | None:
    """Give what is known of a language by its name, in any case."""
    return _DEFAULTS.get(_ALIASES.get(language.casefold(), language.casefold()))


_DEFAULTS = {
    "go": LanguageDefaults("1.22", "golang:1.22", ("go vet ./...", "go test ./...")),
    "java": LanguageDefaults("17", "maven:3.9-eclipse-temurin-17", ("mvn -B test",)),
    "nodejs": LanguageDefaults("20", "node:20", ("npm ci", "npm test")),
    "python": LanguageDefaults("3.12", "python:3.12", ("python3 -m unittest discover",)),
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
