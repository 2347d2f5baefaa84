"""The sections ``apps`` and ``pipelineTemplates``: what is written there, checked, not yet expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.check import TREATMENT_KEYS, Block
from devstream.config.merge import Item
from devstream.config.names import dependencies, instance_id, tool_name
from devstream.config.template import render
from devstream.config.tools import mapping_item, show_repo_plainly
from devstream.config.tree import Map, Template
from devstream.errors import nearest
from devstream.model.app import App, Pipeline, PipelineTemplate
from devstream.model.origin import Origin
from devstream.model.values import Unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from devstream.config.check import Problems
    from devstream.config.tree import Node
    from devstream.config.variables import Variables
    from devstream.errors import Mark

__all__ = ["REPO_KEYS", "read_apps", "read_templates"]

REPO_KEYS = frozenset(
    {
        *("owner", "org", "name", "branch", "scmType", "token", "url", "apiURL", "baseURL", "nameSpace"),
        *("visibility", "sshPrivateKey", "workPath", "needAuth"),
        *("user", "knownHosts", "caFile", "allowHttp"),
    }
)
"""The keys of a repository: DevStream's names, then our own."""

_REPO_TEMPLATE_KEYS = ("vars", "version", "follow", "path", "sha256", "update")
_APP_KEYS = frozenset({"name", "spec", "repo", "repoTemplate", "ci", "cd", "dependsOn", "tags", "protect"})
_PIPELINE_KEYS = frozenset({"type", "templateName", "options", "vars", "name"}) | TREATMENT_KEYS
_TEMPLATE_KEYS = frozenset({"name", "type", "options"}) | TREATMENT_KEYS
_NOT_RENDERED = frozenset({"options", "ci", "cd"})


class _Reading(NamedTuple):
    """What reading needs all the way down."""

    variables: Variables
    problems: Problems

    def block(self, node: Map, what: str, valid: Collection[str]) -> Block:
        """Render a mapping but for what is rendered at its use, and check its keys."""
        scope = self.variables.scope
        values = {key: render(value, scope) for key, value in node.items() if key not in _NOT_RENDERED}
        block = Block(node, values, what, self.problems)
        block.check_keys(valid)
        return block


def read_templates(
    items: Iterable[Item], variables: Variables, problems: Problems
) -> dict[str, PipelineTemplate]:
    """Read ``pipelineTemplates`` by name; what is not usable is noted and left out."""
    templates: dict[str, PipelineTemplate] = {}
    for item in items:
        template = _read_template(item, _Reading(variables, problems))
        if template is not None and template.name in templates:
            first = templates[template.name].origin.mark
            _twice("pipeline template", template.name, item.mark, first, problems)
        elif template is not None:
            templates[template.name] = template
    return templates


def _twice(what: str, name: str, mark: Mark, first: Mark | None, problems: Problems) -> None:
    problems.error(f'the {what} "{name}" is written twice', "duplicate", mark, detail=f"first at {first}")


def _read_template(item: Item, reading: _Reading) -> PipelineTemplate | None:
    node = mapping_item(item, "pipeline template", reading.problems)
    if node is None:
        return None
    block = reading.block(node, "the pipeline template", _TEMPLATE_KEYS)
    name, kind = block.required("name"), tool_name(block, "type")
    options, treatment = _raw_options(block), block.treatment()
    if not name or not kind:
        return None
    return PipelineTemplate(name, kind, options, Origin(item.mark), treatment, node)


def _raw_options(block: Block) -> Node:
    """Give ``options`` as written, which is a mapping or becomes one."""
    node = block.node["options"] if isinstance(block.node, Map) and "options" in block.node else None
    if node is None or isinstance(node, Map | Template):
        return node
    block.problems.error(f'"options" of {block.what} must be a mapping', "wrong-type", block.place("options"))
    return None


def read_apps(items: Iterable[Item], variables: Variables, problems: Problems) -> tuple[App, ...]:
    """Read ``apps``; what is not usable is noted and left out."""
    apps: dict[str, App] = {}
    for item in items:
        app = _read_app(item, _Reading(variables, problems))
        if app is not None and app.name in apps:
            _twice("app", app.name, item.mark, apps[app.name].origin.mark, problems)
        elif app is not None:
            apps[app.name] = app
    return tuple(apps.values())


def _read_app(item: Item, reading: _Reading) -> App | None:
    node = mapping_item(item, "app", reading.problems)
    if node is None:
        return None
    block = reading.block(node, "the app", _APP_KEYS)
    name = instance_id(block, "name")
    spec = block.child("spec", "the spec")
    repo = _read_repo(block, spec, name)
    template = block.child("repoTemplate", "the repoTemplate")
    pipelines = (*_read_pipelines(block, "ci", reading), *_read_pipelines(block, "cd", reading))
    depends_on, treatment = dependencies(block), block.treatment()
    source, template_vars = _read_repo_template(template)
    if not name or repo is None:
        return None
    return App(
        name,
        Origin(item.mark),
        _read_spec(spec),
        repo,
        source,
        template_vars,
        pipelines,
        depends_on,
        treatment,
        node,
    )


def _read_spec(block: Block | None) -> dict[str, Any]:
    """Give an app's spec; its language and framework are plain text."""
    if block is None:
        return {}
    spec = {key: value for key, value in block.values.items() if key != "repo"}
    missing = {"language", "framework"} - spec.keys()
    for key in spec.keys() - {"language", "framework"}:
        if missing and (hint := nearest(key, missing)):
            block.problems.warn(f'the spec has "{key}"', "near-key", block.key_place(key), suggestion=hint)
    for key in ("language", "framework"):
        if not isinstance(spec.get(key), Unknown) and (text := block.text(key)) is not None:
            spec[key] = text
    return spec


def _read_repo(app: Block, spec: Block | None, name: str) -> dict[str, Any] | None:
    """Give an app's repository with its name filled in; None where it is not usable (which is noted)."""
    block = app.child("repo", "the repo")
    if block is None and spec is not None and isinstance(spec.values.get("repo"), dict):
        app.problems.warn(
            "spec.repo is a form of older versions",
            "old-form",
            spec.key_place("repo"),
            suggestion="write repo beside spec",
        )
        block = spec.child("repo", "the repo")
    if block is None:
        if app.values.get("repo") is None:
            app.problems.error('the app has no "repo"', "missing-key", app.mark)
        return None
    return _with_name(_repo_values(block, "repo"), block, name)


def _repo_values(block: Block, key: str, more: Iterable[str] = ()) -> dict[str, Any]:
    """Check the keys of a repository and give its values, with plain text in what identifies it."""
    repo = dict(block.values)
    if "type" in repo:
        block.problems.warn(
            f"{key}.type is a form of older versions",
            "old-form",
            block.key_place("type"),
            suggestion="write scmType",
        )
        old = repo.pop("type")
        repo.setdefault("scmType", old)
    block.check_keys({*REPO_KEYS, *more, "type"})
    show_repo_plainly(repo, block.problems.env)
    if repo.get("owner") and repo.get("org"):
        block.problems.error(
            f"{block.what} has both owner and org",
            "owner-and-org",
            block.key_place("org"),
            suggestion="write one of the two",
        )
    return repo


def _with_name(repo: dict[str, Any], block: Block, app: str) -> dict[str, Any]:
    """Fill in the repository's name: what the url says, else the app's name."""
    url = repo.get("url")
    if not url:
        return repo if repo.get("name") else {**repo, "name": app}
    if not isinstance(url, str):
        return repo
    name = url.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
    if isinstance(repo.get("name"), str) and repo["name"] not in ("", name):
        block.problems.warn(
            f'the url names the repository "{name}", "name" says "{repo["name"]}": the url counts',
            "two-names",
            block.key_place("name"),
            suggestion="write one of the two",
        )
    return {**repo, "name": name} if name else repo


def _read_repo_template(block: Block | None) -> tuple[dict[str, Any] | None, Any]:
    """Give the repository's template and its ``vars``."""
    if block is None:
        return None, None
    variables = block.mapping("vars")
    repo = _repo_values(block, "repoTemplate", _REPO_TEMPLATE_KEYS)
    repo.pop("vars", None)
    return repo, variables


def _read_pipelines(app: Block, kind: str, reading: _Reading) -> tuple[Pipeline, ...]:
    items = app.items(kind)
    if items is None:
        return ()
    found = (_read_pipeline(Item(items, index), kind, reading) for index in range(len(items)))
    return tuple(pipeline for pipeline in found if pipeline)


def _read_pipeline(item: Item, kind: str, reading: _Reading) -> Pipeline | None:
    node = mapping_item(item, f"{kind} item", reading.problems)
    if node is None:
        return None
    block = reading.block(node, f"the {kind} item", _PIPELINE_KEYS)
    chosen = _type_of(block)
    name = block.text("name") or None
    options, treatment = _raw_options(block), block.treatment()
    variables = block.mapping("vars") or {}
    if chosen is None:
        return None
    return Pipeline(kind, *chosen, name, options, variables, Origin(item.mark), treatment, node)


def _type_of(block: Block) -> tuple[str | None, str | None] | None:
    """Give the tool and the template a ci or cd item names, one of them None; None where neither is usable."""
    if block.values.get("type") is None and block.values.get("templateName"):
        block.problems.error(
            f'{block.what} has no "type"', "missing-key", block.mark, suggestion="write type: template"
        )
        return None
    kind = block.required("type")
    if kind == "template":
        template = block.required("templateName")
        return (None, template) if template else None
    if block.values.get("templateName"):
        if near := nearest(kind, ["template"]):
            block.problems.error(
                f'there is no type "{kind}"', "unknown-type", block.place("type"), suggestion=near
            )
            return None
        block.problems.warn(
            f'templateName is not used with the type "{kind}"',
            "not-used",
            block.key_place("templateName"),
            suggestion="write type: template to use it",
        )
    name = tool_name(block, "type") if kind else ""
    return (name, None) if name else None
