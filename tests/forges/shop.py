"""`Shop`: an app with a repository, a pipeline and a webhook on a forge, and `devstream` run as people do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.testing.service import Service

__all__ = ["Shop", "Ended", "CANARY", "PASSWORD", "HOOK"]

CANARY = "canary-token-7d21"
PASSWORD = "canary-password-98aa"
HOOK = "https://ci.example.org/hook"
SECONDS = 60
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
      branch: main
      token: "[[ env SHOP_TOKEN ]]"
    repoTemplate:
      url: builtin:python-http
      vars:
        greeting: Hello, shop
    ci:
      - type: ci-generic
        options:
          ci:
            type: {ci}
            configContents:
              test.yml: |
                # for the shop
                on: [push]
                jobs:
                  test:
                    runs-on: ubuntu-latest
                    steps:
                      - run: echo one
      - type: webhook
        options:
          url: {hook}
"""
_WEBHOOK_TOOL = '''\
"""A webhook of an app's repository."""

from typing import Annotated

from msgspec import Struct

from devstream.api import ResourceStatus, ToolSchema, Traits, hookimpl, option, tool
from devstream_plugin_scm.forge import open_forge
from devstream_plugin_scm.hosting import Webhook, is_our_webhook, webhook_url
from devstream_plugin_scm.repository import TargetRepo

EVENTS = {events!r}


class Pipeline(Struct):
    url: Annotated[str, option("Where events are posted to.")]


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
    return ResourceStatus(properties={{"url": hook.url, "events": list(hook.events), "active": hook.active}})


@tool("webhook")
class WebhookTool:
    @hookimpl
    def devstream_tool_schema(self):
        return ToolSchema(WebhookOptions, doc="A webhook.", traits=lambda _: Traits(repeatable=True))

    @hookimpl
    def create(self, tool, context):
        hosting, location = place(tool, context)
        there = find(tool, context)
        wanted = Webhook(webhook_url(tool.options.pipeline.url, str(context.address)), EVENTS)
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


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shop:
    """A folder with the app's configuration.

    Attributes:
        kind: its ``scmType``.
        ci: the tool that writes the pipeline.
        events: what the webhook is told of.
        group: the option that names whom the repository belongs to.
    """

    root: Path
    service: Service
    kind: str
    ci: str
    events: tuple[str, ...] = ("push",)
    group: str = "org"
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder, home = self.root / "project", self.root / "home"
        self.folder.mkdir(parents=True)
        temporary = self.root / "tmp"
        home.mkdir()
        temporary.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "SHOP_TOKEN": CANARY,
            "SHOP_PASSWORD": PASSWORD,
            **self.environ,
        }
        self.write(
            "devstream.yaml",
            _CONFIG.format(kind=self.kind, url=self.service.url, group=self.group, ci=self.ci, hook=HOOK),
        )
        self.write("devstream_plugins.py", _WEBHOOK_TOOL.format(events=self.events))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(dedent(text), encoding="utf-8")

    def replace(self, old: str, new: str) -> None:
        path = self.folder / "devstream.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command, as the leader of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "devstream", *argv],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def devstream(self, *argv: str, code: int | None = 0) -> Ended:
        """Run a command; ``code`` is how it has to end, None for any way."""
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=SECONDS)
        assert "Traceback" not in out + err, err
        assert CANARY not in out + err
        assert PASSWORD not in out + err
        assert code in (process.returncode, None), f"{process.returncode}: {out}{err}"
        return Ended(process.returncode, out, err)

    def run(self) -> dict[str, str]:
        """Run; give what was done, by address."""
        results = self.devstream("run", "--yes", "-o", "json").data.get("results", [])
        assert all(result["outcome"] == "succeeded" for result in results), results
        return {result["address"]: result["action"] for result in results}

    def plan(self) -> dict[str, str]:
        """Plan; give what would be done, by address."""
        changes = self.devstream("plan", "-o", "json").data["changes"]
        return {change["address"]: change["action"] for change in changes if change["action"] != "noop"}

    # ---- what is there

    @property
    def written(self) -> str:
        """Everything in the folder, as text."""
        return "".join(
            path.read_text("utf-8", "replace") for path in self.folder.rglob("*") if path.is_file()
        )

    def files(self, name: str = "acme/shop", branch: str = "main") -> list[str]:
        return self.git(name, "ls-tree", "-r", "--name-only", branch).splitlines()

    def show(self, path: str, name: str = "acme/shop", branch: str = "main") -> str:
        return self.git(name, "show", f"{branch}:{path}")

    def log(self, name: str = "acme/shop", branch: str = "main") -> list[str]:
        return self.git(name, "log", "--format=%s", branch).splitlines()

    def branches(self, name: str = "acme/shop") -> list[str]:
        return self.git(name, "for-each-ref", "--format=%(refname:short)", "refs/heads/").splitlines()

    def commit(self, path: str, text: str, *, remove: bool = False) -> None:
        """Push a change of one file as a person would."""
        assert self.service.git_root is not None
        clone = self.root / f"clone-{len(list(self.root.iterdir()))}"
        person = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        self._git("clone", "-q", "-b", "main", str(self.bare("acme/shop")), str(clone))
        if remove:
            (clone / path).unlink()
        else:
            (clone / path).write_text(text, encoding="utf-8")
        self._git("-C", str(clone), "add", "-A")
        self._git("-C", str(clone), *person, "commit", "-q", "-m", f"Ann writes {path}")
        self._git("-C", str(clone), "push", "-q", "origin", "HEAD:main")

    def bare(self, name: str) -> Path:
        """Where the server keeps a repository."""
        found = self.service.git_repository(name)
        assert found is not None, f"there is no repository {name}"
        return found

    def git(self, name: str, *argv: str) -> str:
        """Ask git in a repository of the server."""
        return self._git("--git-dir", str(self.bare(name)), *argv)

    def _git(self, *argv: str) -> str:
        return subprocess.run(["git", *argv], capture_output=True, text=True, check=True).stdout
