"""`JenkinsStandIn`: keeps jobs, folders, credentials and plugins as Jenkins 2.4xx does.

It is as strict as Jenkins (names, crumbs, content types, XML that has to be well-formed), and does to what it is given what
Jenkins does: configurations come back as XML 1.1 with attributes and elements of its own, secrets never come back.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl

__all__ = ["JenkinsStandIn", "JenkinsItem", "PLUGINS"]

PLUGINS = (
    "cloudbees-bitbucket-branch-source",
    "cloudbees-folder",
    "credentials-binding",
    "docker-workflow",
    "git",
    "gitea",
    "github",
    "github-branch-source",
    "gitlab-branch-source",
    "gitlab-plugin",
    "pipeline-model-definition",
    "plain-credentials",
    "ssh-credentials",
    "workflow-durable-task-step",
    "workflow-job",
    "workflow-multibranch",
)
_FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
_MULTIBRANCH = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
_CLASSES = {
    _FOLDER: (_FOLDER, "cloudbees-folder@6.9"),
    _MULTIBRANCH: (_MULTIBRANCH, "workflow-multibranch@2.26"),
    "flow-definition": ("org.jenkinsci.plugins.workflow.job.WorkflowJob", "workflow-job@1400"),
    "project": ("hudson.model.FreeStyleProject", ""),
}
"""Root elements that it knows: the class, and the plugin that it says wrote the element."""
_CREDENTIALS = {
    "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl": ("username", "password"),
    "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey": (
        "username",
        "privateKeySource",
    ),
    "org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl": ("secret",),
}
"""Kinds of credentials: the elements that each must have."""
_SECRETS = ("password", "secret", "privateKey", "passphrase")
_ENCRYPTED = ("secretToken",)
_BAD_NAME = re.compile(r"[?*/\\%!@#$^&|<>\[\]:;]|[\x00-\x1f]")
_XML = ("text/xml", "application/xml")
_SYSTEM = "/credentials/store/system/domain/_"
_IN_FOLDER = "/job/{path...}/credentials/store/folder/domain/_"


@dataclass
class JenkinsItem:
    """A job or a folder."""

    config: ET.Element
    builds: int = 0

    @property
    def is_folder(self) -> bool:
        """True where it may hold others that are made by hand."""
        return self.config.tag == _FOLDER


@dataclass
class _Plugins:
    active: set[str] = field(default_factory=lambda: set(PLUGINS))
    waiting: set[str] = field(default_factory=set)
    need_restart: bool = False


class JenkinsStandIn(Service):
    """A Jenkins with one user.

    Args:
        token: the user's API token; with it no crumb is asked for.
        csrf: who comes with a password has to show a crumb of its own session.
    """

    def __init__(
        self,
        *,
        user: str = "admin",
        password: str = "jenkins-password",  # noqa: S107 - a test's
        token: str = "11jenkins-token",  # noqa: S107 - a test's
        csrf: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.user, self.password, self.token, self.csrf = user, password, token, csrf
        self.items: dict[str, JenkinsItem] = {}
        self.credentials: dict[str, dict[str, ET.Element]] = {}
        self.plugins = _Plugins()
        self.restarts = 0
        self._sessions = 0
        self._crumbs: dict[str, str] = {}

    # ---- for tests

    def config(self, path: str) -> ET.Element:
        """Give the configuration of a job, secrets and all."""
        return self.items[path].config

    def secret(self, folder: str, credential: str, name: str) -> str:
        """Give what a credential holds."""
        found = self.credentials[folder][credential].find(f".//{name}")
        assert found is not None
        return found.text or ""

    def forget_crumbs(self) -> None:
        """Let every session end, as a restart does."""
        self._crumbs.clear()

    # ---- who asks

    def allows(self, request: Request) -> Response | None:
        """Ask for the user, and for a crumb where something may change."""
        if request.basic is None:
            return Response(403, b"<html>Authentication required</html>")
        user, secret = request.basic
        if user != self.user or secret not in {self.token, self.password}:
            return Response(401, b"<html>Invalid password/token for user</html>")
        if request.method != "POST" or not self.csrf or secret == self.token:
            return None
        session = request.headers.get("cookie", "").removeprefix("JSESSIONID=")
        crumb = request.headers.get("jenkins-crumb")
        if crumb is not None and self._crumbs.get(session) == crumb:
            return None
        return Response(403, b"<html>No valid crumb was included in the request</html>")

    @route("GET", "/crumbIssuer/api/json")
    def crumb(self, request: Request) -> Response:  # noqa: ARG002 - the same for all
        """Begin a session and give its crumb."""
        if not self.csrf:
            return Response(404, b"<html>Not Found</html>")
        self._sessions += 1
        session, crumb = f"session{self._sessions}", f"crumb{self._sessions}"
        self._crumbs[session] = crumb
        body = {"crumb": crumb, "crumbRequestField": "Jenkins-Crumb"}
        return Response(200, body, {"Set-Cookie": f"JSESSIONID={session}; Path=/; HttpOnly"})

    # ---- credentials

    @route("GET", f"{_SYSTEM}/api/json")
    @route("GET", f"{_IN_FOLDER}/api/json")
    def list_credentials(self, request: Request) -> Response:
        """List credentials by id."""
        store = self._store(request)
        if isinstance(store, Response):
            return store
        return Response(200, {"credentials": [{"id": known} for known in store]})

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
        return Response(302, None, {"Location": "/"})

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
            return _missing()
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
        return _missing() if found is None else Response(200, _written(found))

    @route("POST", f"{_SYSTEM}/credential/{{id}}/doDelete")
    @route("POST", f"{_IN_FOLDER}/credential/{{id}}/doDelete")
    def delete_credential(self, request: Request) -> Response:
        """Remove a credential."""
        store = self._store(request)
        if isinstance(store, Response):
            return store
        gone = store.pop(request.values["id"], None)
        return _missing() if gone is None else Response(302, None, {"Location": "/"})

    def _store(self, request: Request) -> dict[str, ET.Element] | Response:
        path = _path(request)
        if path and path not in self.items:
            return _missing()
        return self.credentials.setdefault(path, {})

    # ---- plugins

    @route("GET", "/pluginManager/api/json")
    def list_plugins(self, request: Request) -> Response:  # noqa: ARG002 - the same for all
        """List plugins."""
        found = [{"shortName": name, "active": True} for name in sorted(self.plugins.active)]
        waiting = [{"shortName": name, "active": False} for name in sorted(self.plugins.waiting)]
        return Response(200, {"plugins": [*found, *waiting]})

    @route("POST", "/pluginManager/installNecessaryPlugins")
    def install(self, request: Request) -> Response:
        """Install plugins; some wait for a restart."""
        wanted = _parsed(request)
        if isinstance(wanted, Response):
            return wanted
        names = {found.get("plugin", "").partition("@")[0] for found in wanted.iter("install")}
        (self.plugins.waiting if self.plugins.need_restart else self.plugins.active).update(names)
        return Response(302, None, {"Location": f"{self.url}/updateCenter/"})

    @route("GET", "/updateCenter/installStatus")
    def install_status(self, request: Request) -> Response:  # noqa: ARG002 - the same for all
        """Say how far the installation is: done."""
        return Response(200, {"status": "ok", "data": {"jobs": []}})

    @route("GET", "/updateCenter/api/json")
    def update_center(self, request: Request) -> Response:  # noqa: ARG002 - the same for all
        """Say whether plugins wait for a restart."""
        return Response(200, {"restartRequiredForCompletion": bool(self.plugins.waiting)})

    @route("POST", "/safeRestart")
    def restart(self, request: Request) -> Response:  # noqa: ARG002 - the same for all
        """Restart; answers that it is busy, once."""
        self.restarts += 1
        self.plugins.active |= self.plugins.waiting
        self.plugins.waiting.clear()
        self.forget_crumbs()
        self.fail("GET", "/pluginManager/", status=503)
        return Response(302, None, {"Location": f"{self.url}/"})

    # ---- jobs and folders

    @route("GET", "/api/json")
    @route("GET", "/job/{path...}/api/json")
    def show(self, request: Request) -> Response:
        """Show a folder's jobs."""
        path = _path(request)
        if path and path not in self.items:
            return _missing()
        inside = [name for name in self.items if name.rpartition("/")[0] == path]
        jobs = [{"name": name.rpartition("/")[2], "url": f"{self.page(name)}"} for name in inside]
        return Response(200, {"_class": "hudson.model.Hudson", "jobs": jobs})

    def page(self, path: str) -> str:
        """Give the URL of a job."""
        return f"{self.url}/" + "".join(f"job/{quote(step)}/" for step in path.split("/"))

    @route("POST", "/createItem")
    @route("POST", "/job/{path...}/createItem")
    def create(self, request: Request) -> Response:
        """Make a job or a folder."""
        parent, name = _path(request), request.query.get("name", "")
        refused = self._name_refused(parent, name)
        if refused is not None:
            return refused
        config = _config(request)
        if isinstance(config, Response):
            return config
        self.items[f"{parent}/{name}".lstrip("/")] = JenkinsItem(_kept(config))
        return Response(200)

    def _name_refused(self, parent: str, name: str) -> Response | None:
        if parent and parent not in self.items:
            return _missing()
        if parent and not self.items[parent].is_folder:
            return Response(404, b"<html>Not Found</html>")
        if not name or name.strip(". ") != name.strip(" ") or _BAD_NAME.search(name):
            return _refused(f"'{name}' is an unsafe name" if name else "Query parameter 'name' is required")
        if f"{parent}/{name}".lstrip("/").casefold() in {known.casefold() for known in self.items}:
            return _refused(f"A job already exists with the name '{name}'")
        return None

    @route("GET", "/job/{path...}/config.xml")
    def show_config(self, request: Request) -> Response:
        """Show a configuration as Jenkins keeps it."""
        found = self.items.get(_path(request))
        return _missing() if found is None else Response(200, _written(found.config))

    @route("POST", "/job/{path...}/config.xml")
    def edit_config(self, request: Request) -> Response:
        """Replace a configuration."""
        found = self.items.get(_path(request))
        if found is None:
            return _missing()
        config = _config(request)
        if isinstance(config, Response):
            return config
        if config.tag != found.config.tag:
            return Response(500, b"<html>Oops! ClassCastException: expecting another class</html>")
        found.config = _kept(config)
        return Response(200)

    @route("POST", "/job/{path...}/doDelete")
    def delete(self, request: Request) -> Response:
        """Remove a job, or a folder with all that is in it."""
        path = _path(request)
        if path not in self.items:
            return _missing()
        for known in [name for name in self.items if name == path or name.startswith(f"{path}/")]:
            del self.items[known]
            self.credentials.pop(known, None)
        return Response(302, None, {"Location": f"{self.url}/"})

    @route("POST", "/job/{path...}/confirmRename")
    def rename(self, request: Request) -> Response:
        """Rename a job where it is."""
        path, name = _path(request), request.query.get("newName", "")
        return self._move(path, path.rpartition("/")[0], name)

    @route("POST", "/job/{path...}/move/move")
    def move(self, request: Request) -> Response:
        """Move a job to another folder."""
        asked = parse_qs(request.body.decode())
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return Response(400, b"<html>This page expects a form submission</html>")
        path, target = _path(request), asked["destination"][-1].strip("/")
        return self._move(path, target, path.rpartition("/")[2])

    def _move(self, path: str, parent: str, name: str) -> Response:
        if path not in self.items:
            return _missing()
        refused = self._name_refused(parent, name)
        if refused is not None:
            return refused
        target = f"{parent}/{name}".lstrip("/")
        self.items[target] = self.items.pop(path)
        return Response(302, None, {"Location": self.page(target)})

    @route("POST", "/job/{path...}/build")
    def build(self, request: Request) -> Response:
        """Start a build, or a look at the branches."""
        found = self.items.get(_path(request))
        if found is None or found.is_folder:
            return _missing()
        found.builds += 1
        return Response(201, None, {"Location": f"{self.url}/queue/item/{found.builds}/"})


def _path(request: Request) -> str:
    """Give the path of a job: ``a/job/b`` is ``a/b``."""
    return request.values.get("path", "").replace("/job/", "/")


def _missing() -> Response:
    return Response(404, b"<html><head><title>Not Found</title></head></html>")


def _refused(why: str) -> Response:
    return Response(400, b"<html>Error</html>", {"X-Error": why})


def _parsed(request: Request) -> ET.Element | Response:
    if request.headers.get("content-type", "").partition(";")[0] not in _XML:
        return Response(415, b"<html>Unsupported Media Type</html>")
    try:
        return ET.fromstring(request.body)  # noqa: S314 - what our own program sent
    except ET.ParseError as error:
        return Response(500, f"<html>Oops! SAXParseException: {error}</html>".encode())


def _config(request: Request) -> ET.Element | Response:
    config = _parsed(request)
    if isinstance(config, ET.Element) and config.tag not in _CLASSES:
        return Response(500, f"<html>Oops! CannotResolveClassException: {config.tag}</html>".encode())
    return config


def _credential(request: Request) -> ET.Element | Response:
    made = _parsed(request)
    if isinstance(made, Response):
        return made
    required = _CREDENTIALS.get(made.tag)
    if required is None:
        return Response(500, f"<html>Oops! CannotResolveClassException: {made.tag}</html>".encode())
    lacks = [name for name in ("scope", "id", *required) if made.find(name) is None]
    if lacks or made.findtext("scope") not in {"GLOBAL", "SYSTEM"}:
        return Response(500, f"<html>Oops! NullPointerException: {', '.join(lacks)}</html>".encode())
    return made


def _kept(config: ET.Element) -> ET.Element:
    """Do what Jenkins does when it writes a job: say which plugin wrote it, fill in defaults, sort the root."""
    config.set("plugin", _CLASSES[config.tag][1])
    for name, value in (("actions", ""), ("keepDependencies", "false"), ("disabled", "false")):
        if config.find(name) is None and config.tag != _FOLDER:
            ET.SubElement(config, name).text = value or None
    for scm in config.iter("scm"):
        scm.set("plugin", "git@5.2.0")
        if scm.find("doGenerateSubmoduleConfigurations") is None:
            ET.SubElement(scm, "doGenerateSubmoduleConfigurations").text = "false"
            ET.SubElement(scm, "submoduleCfg", {"class": "empty-list"})
            ET.SubElement(scm, "extensions")
    config[:] = sorted(config, key=lambda child: child.tag)
    return config


def _written(config: ET.Element) -> bytes:
    """Write what is shown: indented, XML 1.1, without secrets."""
    shown = ET.fromstring(ET.tostring(config))  # noqa: S314 - what was parsed before
    for found in shown.iter():
        if found.tag in _SECRETS:
            found[:] = [ET.Element("secret-redacted")]
            found.text = None
        if found.tag in _ENCRYPTED and found.text:
            found.text = "{AQAAABAAAAAQ" + "x" * 32 + "=}"
    ET.indent(shown)
    return b"<?xml version='1.1' encoding='UTF-8'?>\n" + ET.tostring(shown)
