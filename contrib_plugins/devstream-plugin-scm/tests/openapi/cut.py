"""Cuts a vendor's description of its API to the operations that the plugin uses: ``python cut.py gitea SOURCE.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPO = "/repos/{owner}/{repo}"
CLOUD = "/repositories/{workspace}/{repo_slug}"
_SERVER = "/projects/{projectKey}/repos"
SERVER = f"/api/latest{_SERVER}/{{repositorySlug}}"
SERVER_KEYS = f"/keys/latest{_SERVER}/{{repositorySlug}}/ssh"
USED: dict[str, dict[str, str]] = {
    "gitea": {
        "/user": "get",
        "/user/repos": "post",
        "/orgs/{org}/repos": "post",
        REPO: "get patch delete",
        f"{REPO}/transfer": "post",
        f"{REPO}/topics": "put",
        f"{REPO}/hooks": "get post",
        f"{REPO}/hooks/{{id}}": "get patch delete",
        f"{REPO}/keys": "get post",
        f"{REPO}/keys/{{id}}": "delete",
        f"{REPO}/pulls": "get post",
        f"{REPO}/pulls/{{index}}": "get patch",
        f"{REPO}/pulls/{{index}}/merge": "post",
    },
    "github": {
        "/user": "get",
        "/user/repos": "post",
        "/orgs/{org}/repos": "post",
        REPO: "get patch delete",
        f"{REPO}/transfer": "post",
        f"{REPO}/topics": "put",
        f"{REPO}/hooks": "get post",
        f"{REPO}/hooks/{{hook_id}}": "get patch delete",
        f"{REPO}/hooks/{{hook_id}}/config": "get patch",
        f"{REPO}/keys": "get post",
        f"{REPO}/keys/{{key_id}}": "delete",
        f"{REPO}/pulls": "get post",
        f"{REPO}/pulls/{{pull_number}}": "get patch",
        f"{REPO}/pulls/{{pull_number}}/merge": "put",
        f"{REPO}/actions/secrets": "get",
        f"{REPO}/actions/secrets/public-key": "get",
        f"{REPO}/actions/secrets/{{secret_name}}": "get put delete",
        f"{REPO}/actions/variables": "get post",
        f"{REPO}/actions/variables/{{name}}": "get patch delete",
    },
    "bitbucket": {
        CLOUD: "get post put delete",
        f"{CLOUD}/deploy-keys": "get post",
        f"{CLOUD}/deploy-keys/{{key_id}}": "delete",
        f"{CLOUD}/hooks": "get post",
        f"{CLOUD}/hooks/{{uid}}": "put delete",
        f"{CLOUD}/pipelines_config": "get put",
        f"{CLOUD}/pipelines_config/variables": "get post",
        f"{CLOUD}/pipelines_config/variables/{{variable_uuid}}": "put delete",
        f"{CLOUD}/pullrequests": "get post",
        f"{CLOUD}/pullrequests/{{pull_request_id}}": "get",
        f"{CLOUD}/pullrequests/{{pull_request_id}}/decline": "post",
        f"{CLOUD}/pullrequests/{{pull_request_id}}/merge": "post",
    },
    "bitbucket-server": {
        f"/api/latest{_SERVER}": "post",
        SERVER: "get put delete",
        f"{SERVER}/default-branch": "get put",
        f"{SERVER}/labels": "get post",
        f"{SERVER}/labels/{{labelName}}": "delete",
        f"{SERVER}/pull-requests": "get post",
        f"{SERVER}/pull-requests/{{pullRequestId}}": "get",
        f"{SERVER}/pull-requests/{{pullRequestId}}/decline": "post",
        f"{SERVER}/pull-requests/{{pullRequestId}}/merge": "post",
        f"{SERVER}/webhooks": "get post",
        f"{SERVER}/webhooks/{{webhookId}}": "put delete",
        SERVER_KEYS: "get post",
        f"{SERVER_KEYS}/{{keyId}}": "delete",
    },
}


def mend(made: Any, lapses: Any) -> Any:
    """Add what a description leaves out."""
    if isinstance(made, list) and isinstance(lapses, list):
        names = {lapse.get("name", "") for lapse in lapses} - {""}
        return [*(one for one in made if one.get("name") not in names), *lapses]
    if not isinstance(made, dict) or not isinstance(lapses, dict):
        return lapses
    merged = {**made, **{name: mend(made.get(name), lapse) for name, lapse in lapses.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def _asked(**kinds: str) -> dict[str, Any]:
    made = [{"name": name, "in": "query", "schema": {"type": kind}} for name, kind in kinds.items()]
    return {"parameters": made}


def _sent(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _model(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_CLOUD_PAGES = _asked(pagelen="integer", page="integer")
_SERVER_PAGES = _asked(start="integer", limit="integer")
_KEY = {"type": "object", "properties": {"key": {"type": "string"}, "label": {"type": "string"}}}
_STATES = {"type": "array", "items": {"type": "string", "enum": ["DECLINED", "MERGED", "OPEN", "SUPERSEDED"]}}
LAPSES: dict[str, Any] = {
    "bitbucket": {
        "paths": {
            f"{CLOUD}/deploy-keys": {"get": _CLOUD_PAGES, "post": _sent({**_KEY, "required": ["key"]})},
            f"{CLOUD}/hooks": {"get": _CLOUD_PAGES, "post": _sent(_model("webhook_subscription"))},
            f"{CLOUD}/hooks/{{uid}}": {"put": _sent(_model("webhook_subscription"))},
            f"{CLOUD}/pipelines_config/variables": {"get": _CLOUD_PAGES},
            f"{CLOUD}/pullrequests": {
                "get": mend(
                    _asked(pagelen="integer", page="integer", q="string", sort="string"),
                    {"parameters": [{"name": "state", "in": "query", "schema": _STATES}]},
                )
            },
        },
        "components": {
            "schemas": {
                "deploy_key": {"allOf": [{"properties": {"id": {"type": "integer"}}}]},
                "pullrequest": {"allOf": [{"properties": {"description": {"type": "string"}}}]},
            }
        },
    },
    "bitbucket-server": {
        "paths": {
            f"{SERVER}/labels": {"get": {**_SERVER_PAGES, "responses": {"200": {"content": None}}}},
            f"{SERVER}/webhooks": {"get": _SERVER_PAGES},
        },
        "components": {"schemas": {"RestWebhook": {"properties": {"id": {"type": "number"}}}}},
    },
}
"""What descriptions leave out, though their own prose or their paths have it; None for what is wrong in them."""
NULLS = {"bitbucket": {"mainbranch"}, "bitbucket-server": {"nextPageStart"}}
"""Fields that are null at times: the branch of an empty repository, the start of the page after the last one."""
NOISE = {"description", "summary", "example", "examples", "tags", "externalDocs", "title"}
"""Prose: nothing is checked by it. Below ``properties`` they are names of fields, and stay."""


def cut(document: dict[str, Any], used: dict[str, str]) -> dict[str, Any]:
    """Keep the operations that are used, and what they refer to."""
    paths: dict[str, Any] = {}
    for path, methods in used.items():
        there = document["paths"].get(path, {})
        kept = {method: there[method] for method in methods.split() if method in there}
        shared = {"parameters": there["parameters"]} if "parameters" in there else {}
        if kept:  # "latest" stands for the version that is named in requests
            paths[path.replace("/latest/", "/1.0/")] = _quiet({**shared, **kept})
    whole: dict[str, Any] = {
        name: document[name] for name in ("swagger", "openapi", "basePath", "servers") if name in document
    }
    info = {name: document["info"][name] for name in ("title", "version", "license")}
    made: dict[str, Any] = {**whole, "info": info, "consumes": ["application/json"], "paths": paths}
    if "openapi" in document:
        del made["consumes"]
    _add_references(made, document)
    return made


def _add_references(made: dict[str, Any], document: dict[str, Any]) -> None:
    waiting, done = _references(made["paths"]), set[str]()
    while waiting:
        reference = waiting.pop()
        if reference in done:
            continue
        done.add(reference)
        steps = reference.removeprefix("#/").split("/")
        source, target = document, made
        for step in steps[:-1]:
            source, target = source[step], target.setdefault(step, {})
        target[steps[-1]] = _quiet({steps[-1]: source[steps[-1]]}, steps[-2])[steps[-1]]
        waiting |= _references(target[steps[-1]])


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def _quiet(value: Any, inside: str = "") -> Any:
    """Drop the prose; ``inside`` is the key that a value stands at."""
    if isinstance(value, list):
        return [_quiet(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _quiet(item, "" if inside == "properties" else key)
        for key, item in value.items()
        if inside == "properties" or not (key in NOISE or key.startswith("x-"))
    }
    if inside == "responses":  # each of them has to have a description, be it an empty one
        return {
            code: answer if "$ref" in answer else {"description": "", **answer}
            for code, answer in kept.items()
        }
    return kept


def _with_nulls(value: Any, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_with_nulls(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {"anyOf": [item], "nullable": True} if name in names else _with_nulls(item, names)
        for name, item in value.items()
    }


if __name__ == "__main__":
    name, source = sys.argv[1:]
    document = json.loads(Path(source).read_text(encoding="utf-8"))
    document = mend(document, LAPSES.get(name, {}))
    found = _with_nulls(cut(document, USED[name]), NULLS.get(name, set()))
    target = Path(__file__).with_name(f"{name}.json")
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
