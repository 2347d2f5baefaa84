"""CircleCI and Travis CI by their APIs: a project is switched on, and its secrets are set there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from devstream.api import OperationError
from devstream_plugin_scm.ci_secrets import Vault
from devstream_plugin_scm.rest import Rest, RestError, check_clear, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.api import Context, Secret
    from devstream_plugin_scm.ci_options import CiAccount
    from devstream_plugin_scm.repository import TargetRepo

__all__ = ["CiService", "CircleCi", "Travis", "open_service"]


class CiService(Vault, Protocol):
    """A CI service that has to be told of a repository."""

    def is_active(self, location: str) -> bool:
        """Tell whether it builds a repository."""

    def activate(self, location: str) -> None:
        """Make it build a repository; that it does already is fine."""

    def deactivate(self, location: str) -> None:
        """Make it build a repository no longer; that it does not know it is fine. Builds that were made stay."""


def open_service(options: Any, context: Context) -> CiService | None:
    """Give the CI service that options have an account for; None for none."""
    circleci: CiAccount | None = getattr(options, "circleci", None)
    travis: CiAccount | None = getattr(options, "travis", None)
    if circleci is not None:
        return CircleCi(circleci, options.scm, context)
    return Travis(travis, options.scm, context) if travis is not None else None


class _SecretsOnly:
    """A service that shows no value: what is not secret is kept as if it were."""

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        raise NotImplementedError

    def delete_secret(self, location: str, name: str) -> None:
        raise NotImplementedError

    def variables(self, location: str) -> dict[str, str]:  # noqa: ARG002 - the protocol's
        """Give nothing: values cannot be read."""
        return {}

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a variable."""
        from devstream.api import Secret

        self.put_secret(location, name, Secret.plain(value))

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a variable."""
        self.delete_secret(location, name)


class CircleCi(_SecretsOnly):
    """Projects on CircleCI (API 2; to follow a project, 1.1)."""

    def __init__(self, account: CiAccount, repo: TargetRepo, context: Context) -> None:
        url = account.url.rstrip("/") or "https://circleci.com"
        check_clear(url, allow_http=repo.allow_http)
        self._kind = repo.scm_type
        self._project = account.project
        headers = {"Circle-Token": account.token.reveal()}
        self._rest = Rest(context, f"{url}/api", headers=headers, service="CircleCI")

    def _slug(self, location: str) -> str:
        """Give ``/gh/owner/name``.

        Raises:
            OperationError: projects of this forge have slugs that only CircleCI knows.
        """
        if self._project:
            return steps(*self._project.split("/"))
        prefix = {"github": "gh", "bitbucket": "bb"}.get(self._kind)
        if prefix is None:
            message = f"CircleCI names projects of {self._kind} by ids of its own"
            raise OperationError(
                message, suggestion="circleci.project: the project slug of its settings page"
            )
        return steps(prefix, *_owner_and_name(location))

    def is_active(self, location: str) -> bool:
        """Tell whether CircleCI knows the project."""
        return self._rest.find(f"/v2/project{self._slug(location)}") is not None

    def activate(self, location: str) -> None:
        """Follow the project; one that CircleCI knows may not be followed by anybody."""
        self._rest.send("POST", f"/v1.1/project{self._slug(location)}/follow")

    def deactivate(self, location: str) -> None:
        """Follow the project no longer."""
        _send_if_there(self._rest, f"/v1.1/project{self._slug(location)}/unfollow")

    def secret_names(self, location: str) -> frozenset[str]:
        """List the project's environment variables."""
        return frozenset(item["name"] for item in self._items(location))

    def _items(self, location: str) -> Iterator[dict[str, Any]]:
        page: str | None = None
        while True:
            found = self._rest.find(
                f"/v2/project{self._slug(location)}/envvar", **({"page-token": page} if page else {})
            )
            if found is None:
                return
            yield from found["items"]
            page = found.get("next_page_token")
            if not page:
                return

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set an environment variable; one with this name is replaced."""
        body = {"name": name, "value": value.reveal()}
        self._rest.send("POST", f"/v2/project{self._slug(location)}/envvar", body)

    def delete_secret(self, location: str, name: str) -> None:
        """Remove an environment variable."""
        self._rest.remove(f"/v2/project{self._slug(location)}/envvar{steps(name)}")


class Travis(_SecretsOnly):
    """Repositories on Travis CI (API 3)."""

    def __init__(self, account: CiAccount, repo: TargetRepo, context: Context) -> None:
        url = account.url.rstrip("/") or "https://api.travis-ci.com"
        check_clear(url, allow_http=repo.allow_http)
        self._kind = repo.scm_type
        self._project = account.project
        headers = {"Authorization": f"token {account.token.reveal()}", "Travis-API-Version": "3"}
        self._rest = Rest(context, url, headers=headers, service="Travis CI")

    def _path(self, location: str, *more: str) -> str:
        slug = quote(self._project or "/".join(_owner_and_name(location)), safe="")
        provider = "" if self._kind == "github" else f"/{self._kind}"
        return f"/repo{provider}/{slug}{steps(*more)}"

    def is_active(self, location: str) -> bool:
        """Tell whether Travis CI builds the repository."""
        found = self._rest.find(self._path(location))
        return bool(found and found["active"])

    def activate(self, location: str) -> None:
        """Activate the repository."""
        if self.is_active(location):
            return
        try:
            self._rest.send("POST", self._path(location, "activate"))
        except RestError as error:
            if not (error.unsettled or error.status == 409) or not self.is_active(location):
                raise

    def deactivate(self, location: str) -> None:
        """Deactivate the repository."""
        _send_if_there(self._rest, self._path(location, "deactivate"))

    def secret_names(self, location: str) -> frozenset[str]:
        """List the environment variables."""
        return frozenset(self._ids(location))

    def _ids(self, location: str) -> dict[str, str]:
        found = self._rest.find(self._path(location, "env_vars"))
        return {item["name"]: item["id"] for item in (found or {}).get("env_vars", ())}

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set an environment variable that logs do not show."""
        there = self._ids(location).get(name)
        body = {"env_var.name": name, "env_var.value": value.reveal(), "env_var.public": False}
        method, path = ("PATCH", ("env_var", there)) if there else ("POST", ("env_vars",))
        self._rest.send(method, self._path(location, *path), body)

    def delete_secret(self, location: str, name: str) -> None:
        """Remove an environment variable."""
        there = self._ids(location).get(name)
        if there:
            self._rest.remove(self._path(location, "env_var", there))


def _send_if_there(rest: Rest, path: str) -> None:
    try:
        rest.send("POST", path)
    except RestError as error:
        if error.status != 404:
            raise


def _owner_and_name(location: str) -> tuple[str, str]:
    """Give the last two steps of a location: neither service knows deeper ones."""
    owner, _, name = location.rpartition("/")
    return owner.rpartition("/")[2], name
