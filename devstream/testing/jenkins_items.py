"""The jobs and folders of Jenkins' stand-in, by core's REST API and that of the folders plugin."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from devstream.testing.jenkins_xml import item_path, missing, parsed, written
from devstream.testing.service import Request, Response, route

__all__ = ["JenkinsItem", "JenkinsItems"]

_FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
_MULTIBRANCH = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
_CLASSES = {
    _FOLDER: (_FOLDER, "cloudbees-folder@6.9"),
    _MULTIBRANCH: (_MULTIBRANCH, "workflow-multibranch@2.26"),
    "flow-definition": ("org.jenkinsci.plugins.workflow.job.WorkflowJob", "workflow-job@1400"),
    "project": ("hudson.model.FreeStyleProject", ""),
}
"""Root elements that it knows: the class, and the plugin that it says wrote the element."""
_BAD_NAME = re.compile(r"[?*/\\%!@#$^&|<>\[\]:;]|[\x00-\x1f]")


@dataclass
class JenkinsItem:
    """A job or a folder."""

    config: ET.Element
    builds: int = 0

    @property
    def is_folder(self) -> bool:
        """True where it may hold others that are made by hand."""
        return self.config.tag == _FOLDER


class JenkinsItems:
    """What the stand-in keeps of jobs and folders, by path.

    Attributes:
        url: where the stand-in is.
        credentials: those of each folder, which go with it.
    """

    url: str
    credentials: dict[str, dict[str, ET.Element]]

    def __init__(self) -> None:
        self.items: dict[str, JenkinsItem] = {}

    def config(self, path: str) -> ET.Element:
        """Give the configuration of a job, secrets and all."""
        return self.items[path].config

    @route("GET", "/api/json")
    @route("GET", "/job/{path...}/api/json")
    def show(self, request: Request) -> Response:
        """Show a folder's jobs."""
        path = item_path(request)
        if path and path not in self.items:
            return missing()
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
        parent, name = item_path(request), request.query.get("name", "")
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
            return missing()
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
        found = self.items.get(item_path(request))
        return missing() if found is None else Response(200, written(found.config))

    @route("POST", "/job/{path...}/config.xml")
    def edit_config(self, request: Request) -> Response:
        """Replace a configuration."""
        found = self.items.get(item_path(request))
        if found is None:
            return missing()
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
        path = item_path(request)
        if path not in self.items:
            return missing()
        for known in [name for name in self.items if name == path or name.startswith(f"{path}/")]:
            del self.items[known]
            self.credentials.pop(known, None)
        return Response(302, None, {"Location": f"{self.url}/"})

    @route("POST", "/job/{path...}/confirmRename")
    def rename(self, request: Request) -> Response:
        """Rename a job where it is."""
        path, name = item_path(request), request.query.get("newName", "")
        return self._move(path, path.rpartition("/")[0], name)

    @route("POST", "/job/{path...}/move/move")
    def move(self, request: Request) -> Response:
        """Move a job to another folder."""
        asked = parse_qs(request.body.decode())
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return Response(400, b"<html>This page expects a form submission</html>")
        path, target = item_path(request), asked["destination"][-1]
        if not target.startswith("/") or (target != "/" and target[1:] not in self.items):
            return Response(
                302, None, {"Location": f"{self.page(path)}move/"}
            )  # it stays where it is, without a word
        return self._move(path, target[1:], path.rpartition("/")[2])

    def _move(self, path: str, parent: str, name: str) -> Response:
        if path not in self.items:
            return missing()
        refused = self._name_refused(parent, name)
        if refused is not None:
            return refused
        target = f"{parent}/{name}".lstrip("/")
        self.items[target] = self.items.pop(path)
        return Response(302, None, {"Location": self.page(target)})

    @route("POST", "/job/{path...}/build")
    def build(self, request: Request) -> Response:
        """Start a build, or a look at the branches."""
        found = self.items.get(item_path(request))
        if found is None or found.is_folder:
            return missing()
        found.builds += 1
        return Response(201, None, {"Location": f"{self.url}/queue/item/{found.builds}/"})


def _refused(why: str) -> Response:
    return Response(400, b"<html>Error</html>", {"X-Error": why})


def _config(request: Request) -> ET.Element | Response:
    config = parsed(request)
    if isinstance(config, ET.Element) and config.tag not in _CLASSES:
        return Response(500, f"<html>Oops! CannotResolveClassException: {config.tag}</html>".encode())
    return config


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
