"""`CircleCiStandIn` and `TravisStandIn`: one project each, with what their APIs say of it (versions 2 and 3)."""

from __future__ import annotations

from typing import Any

from devstream.testing.service import Request, Response, Service, route

__all__ = ["CircleCiStandIn", "TravisStandIn"]

_V2 = "/api/v2/project/gh/acme/hello"


class _Project(Service):
    """A service with one project.

    Attributes:
        active: whether it is built.
        variables: the environment variables, with what nobody is shown.
    """

    def __init__(self, *, token: str = "service-token", page: int = 3) -> None:  # noqa: S107 - a test's token
        super().__init__()
        self.token = token
        self.page = page
        self.active = False
        self.variables: dict[str, str] = {}


class CircleCiStandIn(_Project):
    """CircleCI, with the project ``gh/acme/hello``. Lists come in pages."""

    def allows(self, request: Request) -> Response | None:
        """Ask for the token."""
        if request.headers.get("circle-token") == self.token:
            return None
        return Response(401, {"message": "Invalid token provided."})

    @route("GET", _V2)
    def show(self, _: Request) -> Response:
        """Show the project; one that nobody follows is not there."""
        if not self.active:
            return Response(404, {"message": "Project not found"})
        return Response(200, {"slug": "gh/acme/hello", "name": "hello", "organization_name": "acme"})

    @route("POST", "/api/v1.1/project/gh/acme/hello/follow")
    def follow(self, _: Request) -> Response:
        """Follow the project."""
        self.active = True
        return Response(200, {"following": True})

    @route("POST", "/api/v1.1/project/gh/acme/hello/unfollow")
    def unfollow(self, _: Request) -> Response:
        """Follow the project no longer; nobody else did."""
        self.active = False
        return Response(200, {"following": False})

    @route("GET", f"{_V2}/envvar")
    def names(self, request: Request) -> Response:
        """List the variables, masked."""
        start = int(request.query.get("page-token", 0))
        names = sorted(self.variables)
        shown = names[start : start + self.page]
        more = str(start + self.page) if start + self.page < len(names) else None
        items = [{"name": name, "value": f"xxxx{self.variables[name][-4:]}"} for name in shown]
        return Response(200, {"items": items, "next_page_token": more})

    @route("POST", f"{_V2}/envvar")
    def put(self, request: Request) -> Response:
        """Set a variable."""
        wanted = request.json
        if not wanted.get("name") or not wanted.get("value"):
            return Response(400, {"message": "name and value are required"})
        if not self.active:
            return Response(404, {"message": "Project not found"})
        self.variables[wanted["name"]] = wanted["value"]
        return Response(201, {"name": wanted["name"], "value": "xxxx"})

    @route("DELETE", f"{_V2}/envvar/{{name}}")
    def remove(self, request: Request) -> Response:
        """Remove a variable."""
        if self.variables.pop(request.values["name"], None) is None:
            return Response(404, {"message": "Environment variable not found."})
        return Response(200, {"message": "Environment variable deleted."})


class TravisStandIn(_Project):
    """Travis CI, with the repository ``acme/hello``. Variables go by ids; one name may be there twice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ids: dict[str, str] = {}

    def allows(self, request: Request) -> Response | None:
        """Ask for the token, the version, and the only repository there is."""
        if request.headers.get("authorization") != f"token {self.token}":
            return Response(401, {"@type": "error", "error_message": "login required"})
        if request.headers.get("travis-api-version") != "3" or "acme%2Fhello" not in request.path:
            return Response(404, {"@type": "error", "error_message": "repository not found"})
        return None

    @route("GET", "/repo/{slug}")
    @route("GET", "/repo/{provider}/{slug}")
    def show(self, _: Request) -> Response:
        """Show the repository."""
        return Response(200, {"@type": "repository", "slug": "acme/hello", "active": self.active})

    @route("POST", "/repo/{slug}/activate")
    @route("POST", "/repo/{provider}/{slug}/activate")
    def activate(self, _: Request) -> Response:
        """Activate the repository."""
        self.active = True
        return Response(200, {"@type": "repository", "active": True})

    @route("POST", "/repo/{slug}/deactivate")
    @route("POST", "/repo/{provider}/{slug}/deactivate")
    def deactivate(self, _: Request) -> Response:
        """Deactivate the repository."""
        self.active = False
        return Response(200, {"@type": "repository", "active": False})

    @route("GET", "/repo/{slug}/env_vars")
    @route("GET", "/repo/{provider}/{slug}/env_vars")
    def names(self, _: Request) -> Response:
        """List the variables; values only where they are public."""
        items = [{"id": f"id-{name}", "name": name, "public": False} for name in self.variables]
        return Response(200, {"@type": "env_vars", "env_vars": items})

    @route("POST", "/repo/{slug}/env_vars")
    @route("POST", "/repo/{provider}/{slug}/env_vars")
    def make(self, request: Request) -> Response:
        """Make a variable."""
        name = request.json.get("env_var.name")
        if not name or name in self.variables:
            return Response(409, {"@type": "error", "error_message": "resource already exists"})
        self.variables[name] = request.json["env_var.value"]
        return Response(201, {"@type": "env_var", "id": f"id-{name}", "name": name})

    @route("PATCH", "/repo/{slug}/env_var/{id}")
    @route("PATCH", "/repo/{provider}/{slug}/env_var/{id}")
    def change(self, request: Request) -> Response:
        """Change a variable."""
        name = request.values["id"].removeprefix("id-")
        if name not in self.variables:
            return Response(404, {"@type": "error", "error_message": "env_var not found"})
        self.variables[name] = request.json["env_var.value"]
        return Response(200, {"@type": "env_var", "id": f"id-{name}", "name": name})

    @route("DELETE", "/repo/{slug}/env_var/{id}")
    @route("DELETE", "/repo/{provider}/{slug}/env_var/{id}")
    def remove(self, request: Request) -> Response:
        """Remove a variable."""
        gone = self.variables.pop(request.values["id"].removeprefix("id-"), None)
        return Response(204) if gone else Response(404, {"error_message": "env_var not found"})
