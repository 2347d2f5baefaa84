"""The credentials of Jenkins' stand-in: stores of folders and of Jenkins itself, by the REST API of the credentials plugin.

As its `CredentialsStoreAction` has it: XML that is taken is answered with 200, an id that is there already with 409, and
what is removed sends back to the store; secrets are redacted from what is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.testing.jenkins_xml import item_path, missing, parsed, written
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from devstream.testing.jenkins_items import JenkinsItem

__all__ = ["JenkinsCredentials"]

_SYSTEM = "/credentials/store/system/domain/_"
_IN_FOLDER = "/job/{path...}/credentials/store/folder/domain/_"
_CREDENTIALS = {
    "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl": ("username", "password"),
    "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey": (
        "username",
        "privateKeySource",
    ),
    "org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl": ("secret",),
}
"""Kinds of credentials: the elements that each must have."""


class JenkinsCredentials:
    """What the stand-in keeps of credentials: by folder (empty for Jenkins itself) and id.

    Attributes:
        items: the jobs and folders that there are.
    """

    items: dict[str, JenkinsItem]

    def __init__(self) -> None:
        self.credentials: dict[str, dict[str, ET.Element]] = {}

    def secret(self, folder: str, credential: str, name: str) -> str:
        """Give what a credential holds."""
        found = self.credentials[folder][credential].find(f".//{name}")
        assert found is not None
        return found.text or ""

    @route("GET", f"{_SYSTEM}/api/json")
    @route("GET", f"{_IN_FOLDER}/api/json")
    def list_credentials(self, request: Request) -> Response:
        """List credentials by id."""
        store = self._store(request)
        if isinstance(store, Response):
            return store
        shown = [
            {"id": known, "description": kept.findtext("description", "")} for known, kept in store.items()
        ]
        return Response(200, {"credentials": shown})

    @route("POST", f"{_SYSTEM}/createCredentials")
    @route("POST", f"{_IN_FOLDER}/createCredentials")
    def create_credential(self, request: Request) -> Response:
        """Make a credential."""
        store, made = self._store(request), _credential(request)
        if isinstance(store, Response):
            return store
        if isinstance(made, Response):
            return made
        known = made.findtext("id", "")
        if known in store:
            return Response(409, b"<html>Conflict</html>")
        store[known] = made
        return Response(200)

    @route("POST", f"{_SYSTEM}/credential/{{id}}/config.xml")
    @route("POST", f"{_IN_FOLDER}/credential/{{id}}/config.xml")
    def edit_credential(self, request: Request) -> Response:
        """Change a credential."""
        store, made = self._store(request), _credential(request)
        if isinstance(store, Response):
            return store
        if isinstance(made, Response):
            return made
        if request.values["id"] not in store:
            return missing()
        store[request.values["id"]] = made
        return Response(200)

    @route("GET", f"{_SYSTEM}/credential/{{id}}/config.xml")
    @route("GET", f"{_IN_FOLDER}/credential/{{id}}/config.xml")
    def show_credential(self, request: Request) -> Response:
        """Show a credential without what is secret."""
        store = self._store(request)
        if isinstance(store, Response):
            return store
        found = store.get(request.values["id"])
        return missing() if found is None else Response(200, written(found))

    @route("POST", f"{_SYSTEM}/credential/{{id}}/doDelete")
    @route("POST", f"{_IN_FOLDER}/credential/{{id}}/doDelete")
    def delete_credential(self, request: Request) -> Response:
        """Remove a credential."""
        store = self._store(request)
        if isinstance(store, Response):
            return store
        gone = store.pop(request.values["id"], None)
        return missing() if gone is None else Response(302, None, {"Location": "../.."})

    def _store(self, request: Request) -> dict[str, ET.Element] | Response:
        path = item_path(request)
        if path and path not in self.items:
            return missing()
        return self.credentials.setdefault(path, {})


def _credential(request: Request) -> ET.Element | Response:
    made = parsed(request)
    if isinstance(made, Response):
        return made
    required = _CREDENTIALS.get(made.tag)
    if required is None:
        return Response(500, f"<html>Oops! CannotResolveClassException: {made.tag}</html>".encode())
    lacks = [name for name in ("scope", "id", *required) if made.find(name) is None]
    if lacks or made.findtext("scope") not in {"GLOBAL", "SYSTEM"}:
        return Response(500, f"<html>Oops! NullPointerException: {', '.join(lacks)}</html>".encode())
    return made
