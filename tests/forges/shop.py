"""`Shop`: an app with a repository, a pipeline and a webhook on a forge."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

from tests.forges.program import CANARY, PASSWORD, Program, run_git

if TYPE_CHECKING:
    from devstream.testing.service import Service

__all__ = ["Shop", "PIPELINE"]

HOOK = "https://ci.example.org/hook"
_CONFIG = """\
config:
  state:
    backend: local
    options:
      stateFile: devstream.state
apps:
  - name: shop
    spec:
      language: python
    repo:
      scmType: {kind}
      baseURL: {url}
      {group}: acme
      {more}
      branch: main
      token: "[[ env SHOP_TOKEN ]]"
    repoTemplate:
      url: builtin:python-http
      vars:
        greeting: Hello, shop
    ci:
      - type: {ci}
        options: {options}
      - type: webhook
        options:
          url: {hook}
          events: [{event}]
"""
PIPELINE = """{
          test: {command: [echo one]},
          imageRepo: {url: registry.example.org, user: shopkeeper, password: "[[ env SHOP_PASSWORD ]]"}}"""
_WEBHOOK_TOOL = '''\
"""A webhook of an app's repository."""

from typing import Annotated

from msgspec import Struct

from devstream.api import ResourceStatus, ToolSchema, Traits, hookimpl, option, tool
from devstream_plugin_scm.forge import open_forge
from devstream_plugin_scm.hosting import Webhook, is_our_webhook, webhook_url
from devstream_plugin_scm.repository import TargetRepo


class Pipeline(Struct):
    url: Annotated[str, option("Where events are posted to.")]
    events: Annotated[list[str], option("Which events.")]


class WebhookOptions(Struct):
    scm: Annotated[TargetRepo, option("The repository.")]
    pipeline: Annotated[Pipeline, option("The webhook.")]


def place(tool, context):
    forge = open_forge(tool.options.scm, context)
    return forge.hosting, forge.locate(tool.options.scm)


def find(tool, context):
    hosting, location = place(tool, context)
    if hosting.find(location) is None:
        return []
    return [hook for hook in hosting.webhooks(location) if is_our_webhook(hook, str(context.address))]


def status(hook):
    return ResourceStatus(properties={"url": hook.url, "events": list(hook.events), "active": hook.active})


@tool("webhook")
class WebhookTool:
    @hookimpl
    def devstream_tool_schema(self):
        return ToolSchema(WebhookOptions, doc="A webhook.", traits=lambda _: Traits(repeatable=True))

    @hookimpl
    def create(self, tool, context):
        hosting, location = place(tool, context)
        there = find(tool, context)
        pipeline = tool.options.pipeline
        wanted = Webhook(webhook_url(pipeline.url, str(context.address)), tuple(pipeline.events))
        return status(hosting.put_webhook(location, wanted._replace(id=there[0].id if there else ""), None))

    @hookimpl
    def read(self, tool, recorded, context):
        there = find(tool, context)
        return status(there[0]) if there else None

    @hookimpl
    def update(self, tool, recorded, context):
        return self.create(tool, context)

    @hookimpl
    def delete(self, tool, recorded, context):
        hosting, location = place(tool, context)
        for hook in find(tool, context):
            hosting.delete_webhook(location, hook.id)
'''


@dataclass
class Shop(Program):
    """A folder with the app's configuration.

    Attributes:
        kind: its ``scmType``.
        ci: the tool that writes the pipeline and sets its secrets.
        group: the option that names whom the repository belongs to.
        more: another option of the repository.
        options: those of the pipeline, in one line of YAML.
        event: what a webhook is told of.
        path: of the repository, as git knows it.
    """

    service: Service
    kind: str
    ci: str
    group: str = "org"
    more: str = ""
    options: str = PIPELINE
    event: str = "push"
    path: str = "acme/shop"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.environ |= {"SHOP_TOKEN": CANARY, "SHOP_PASSWORD": PASSWORD}
        parts = {"kind": self.kind, "group": self.group, "more": self.more, "ci": self.ci}
        text = _CONFIG.format(
            url=self.service.url, hook=HOOK, options=self.options, event=self.event, **parts
        )
        self.write("devstream.yaml", text)
        self.write("devstream_plugins.py", _WEBHOOK_TOOL)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(dedent(text), encoding="utf-8")

    def replace(self, old: str, new: str) -> None:
        path = self.folder / "devstream.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self) -> dict[str, str]:
        """Run; give what was done, by address."""
        results = self.devstream("run", "--yes", "-o", "json").data.get("results", [])
        assert all(result["outcome"] == "succeeded" for result in results), results
        return {result["address"]: result["action"] for result in results}

    def plan(self) -> dict[str, str]:
        """Plan; give what would be done, by address."""
        changes = self.devstream("plan", "-o", "json").data["changes"]
        return {change["address"]: change["action"] for change in changes if change["action"] != "noop"}

    def forget_state(self) -> None:
        """Lose all that was recorded."""
        for path in self.folder.glob("devstream.state*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    # ---- what is there

    def ask(self, *argv: str) -> str:
        """Ask git in the app's repository on the server."""
        return self.git(self.service, self.path, *argv)

    def files(self) -> list[str]:
        return self.ask("ls-tree", "-r", "--name-only", "main").splitlines()

    def show(self, path: str, branch: str = "main") -> str:
        return self.ask("show", f"{branch}:{path}")

    def log(self) -> list[str]:
        return self.ask("log", "--format=%s", "main").splitlines()

    def branches(self) -> list[str]:
        return self.ask("for-each-ref", "--format=%(refname:short)", "refs/heads/").splitlines()

    def commit(self, path: str, text: str, *, remove: bool = False) -> None:
        """Push a change of one file as a person would."""
        clone = str(self.root / f"clone-{len(list(self.root.iterdir()))}")
        run_git("clone", "-q", "-b", "main", str(self.bare(self.service, self.path)), clone)
        if remove:
            (Path(clone) / path).unlink()
        else:
            (Path(clone) / path).write_text(text, encoding="utf-8")
        person = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        run_git("-C", clone, "add", "-A")
        run_git("-C", clone, *person, "commit", "-q", "-m", f"Ann writes {path}")
        run_git("-C", clone, "push", "-q", "origin", "HEAD:main")
