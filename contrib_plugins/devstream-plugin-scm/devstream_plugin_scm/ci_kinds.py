"""The CI systems that pipeline files are written for: where each looks for them, and where it keeps secrets."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CiKind", "KINDS", "EVERYWHERE"]

EVERYWHERE = frozenset({"local", "git"})
"""Kinds of repositories that any CI system may look at, as far as we can tell."""
_MIRRORED = EVERYWHERE | {"github", "gitlab", "bitbucket"}


class CiKind(NamedTuple):
    """A CI system.

    Attributes:
        title: what people call it.
        place: where it looks: a folder (with a slash at the end), or the one file.
        forges: the kinds of repositories that it works on.
        named: the folder of named pipelines, for a system with one file that may include others.
        keeps_secrets: its secrets are kept by the forge, beside the repository.
        hides_user: the name of a registry's user is read as a secret.
    """

    title: str
    place: str
    forges: frozenset[str]
    named: str = ""
    keeps_secrets: bool = True
    hides_user: bool = False

    @property
    def has_folder(self) -> bool:
        """True where it reads every file of a folder."""
        return self.place.endswith("/")

    def target(self, name: str, pipeline: str = "", *, alone: bool = True) -> str | None:
        """Say where a template goes; None for what is no pipeline (a README beside it).

        Args:
            name: the template's path.
            pipeline: the pipeline's name; empty where the repository has one.
            alone: it is the only template.
        """
        base = name.rpartition("/")[2].removesuffix(".tpl")
        if not self.has_folder:
            if base.startswith("README"):
                return None
            return f"{self.named}{pipeline}.yml" if self.named and pipeline else self.place
        if not base.endswith((".yml", ".yaml")):
            return None
        if pipeline:
            base = f"{pipeline}.yml" if alone else f"{pipeline}-{base}"
        return self.place + base


KINDS = {
    "github": CiKind(
        "GitHub Actions", ".github/workflows/", EVERYWHERE | {"github", "gitea"}, hides_user=True
    ),
    "gitea": CiKind("Gitea Actions", ".gitea/workflows/", EVERYWHERE | {"gitea"}, hides_user=True),
    "gitlab": CiKind("GitLab CI", ".gitlab-ci.yml", EVERYWHERE | {"gitlab"}, named=".gitlab/ci/"),
    "bitbucket": CiKind("Bitbucket Pipelines", "bitbucket-pipelines.yml", EVERYWHERE | {"bitbucket"}),
    "circleci": CiKind("CircleCI", ".circleci/config.yml", _MIRRORED, keeps_secrets=False, hides_user=True),
    "travis": CiKind("Travis CI", ".travis.yml", _MIRRORED, keeps_secrets=False, hides_user=True),
    "jenkins": CiKind("Jenkins", "Jenkinsfile", _MIRRORED | {"gitea"}, keeps_secrets=False),
}
"""By the word that `ci-generic` has for them."""
