"""`JenkinsStandIn`: keeps jobs, folders, credentials and plugins as Jenkins 2.4xx does.

It is as strict as Jenkins (names, crumbs, content types, XML that has to be well-formed), and does to what it is given what
Jenkins does: configurations come back as XML 1.1 with attributes and elements of its own, secrets never come back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devstream.testing.jenkins_credentials import JenkinsCredentials
from devstream.testing.jenkins_items import JenkinsItem, JenkinsItems
from devstream.testing.jenkins_xml import parsed
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
_COOKIE = "JSESSIONID.7d1f0c2a"
"""Each Jenkins has a cookie of its own name, so that two on one host do not take it from each other."""


@dataclass
class _Plugins:
    active: set[str] = field(default_factory=lambda: set(PLUGINS))
    waiting: set[str] = field(default_factory=set)
    need_restart: bool = False


class JenkinsStandIn(JenkinsCredentials, JenkinsItems, Service):
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
        Service.__init__(self, tls=tls)
        JenkinsCredentials.__init__(self)
        JenkinsItems.__init__(self)
        self.user, self.password, self.token, self.csrf = user, password, token, csrf
        self.plugins = _Plugins()
        self.restarts = 0
        self._sessions = 0
        self._crumbs: dict[str, str] = {}

    # ---- for tests

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
        session = request.headers.get("cookie", "").removeprefix(f"{_COOKIE}=")
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
        return Response(200, body, {"Set-Cookie": f"{_COOKIE}={session}; Path=/; HttpOnly"})

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
        wanted = parsed(request)
        if isinstance(wanted, Response):
            return wanted
        asked = [found.get("plugin", "") for found in wanted.iter("install")]
        if not all(re.fullmatch("[^@]+@[^@]+", name) for name in asked):
            return Response(500, b"<html>Oops! SAXException: Malformed plugin attribute</html>")
        names = {name.partition("@")[0] for name in asked}
        (self.plugins.waiting if self.plugins.need_restart else self.plugins.active).update(names)
        return Response(302, None, {"Location": f"{self.url}/pluginManager/updates/"})

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
