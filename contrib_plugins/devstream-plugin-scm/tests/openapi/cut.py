"""Cuts a vendor's description of its API to the operations that the plugin uses: ``python cut.py gitea SOURCE.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPO = "/repos/{owner}/{repo}"
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
        f"{REPO}/pulls": "get post",
        f"{REPO}/pulls/{{index}}": "get",
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
        f"{REPO}/pulls": "get post",
        f"{REPO}/pulls/{{pull_number}}": "get patch",
        f"{REPO}/pulls/{{pull_number}}/merge": "put",
        f"{REPO}/actions/secrets": "get",
        f"{REPO}/actions/secrets/public-key": "get",
        f"{REPO}/actions/secrets/{{secret_name}}": "get put delete",
        f"{REPO}/actions/variables": "get post",
        f"{REPO}/actions/variables/{{name}}": "get patch delete",
    },
}
NOISE = {"description", "summary", "example", "examples", "tags", "externalDocs", "title"}
"""Prose: nothing is checked by it. Below ``properties`` they are names of fields, and stay."""


def cut(document: dict[str, Any], used: dict[str, str]) -> dict[str, Any]:
    """Keep the operations that are used, and what they refer to."""
    paths: dict[str, Any] = {}
    for path, methods in used.items():
        there = document["paths"].get(path, {})
        kept = {method: there[method] for method in methods.split() if method in there}
        shared = {"parameters": there["parameters"]} if "parameters" in there else {}
        if kept:
            paths[path] = _quiet({**shared, **kept})
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


if __name__ == "__main__":
    name, source = sys.argv[1:]
    found = cut(json.loads(Path(source).read_text(encoding="utf-8")), USED[name])
    target = Path(__file__).with_name(f"{name}.json")
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
