"""Writes ``gitlab.json``, a description of what the plugin uses of GitLab's REST API, from its documentation's pages.

GitLab's own description is generated from its code and says little about the fields of bodies; what the pages say of
attributes (names, types, which are required) is in the tables below::

    python gitlab_pages.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

DOCS = "https://docs.gitlab.com/api"
PROJECT = "/projects/{id}"
REQUEST = f"{PROJECT}/merge_requests/{{merge_request_iid}}"
ENTITIES = {
    "Namespace": "id:integer name:string path:string kind:string full_path:string parent_id:integer? avatar_url:string? "
    "web_url:string members_count_with_descendants:integer plan:string",
    "Project": "id:integer description:string? name:string name_with_namespace:string path:string "
    "path_with_namespace:string default_branch:string? topics:string[] ssh_url_to_repo:string http_url_to_repo:string "
    "web_url:string namespace:Namespace empty_repo:boolean archived:boolean visibility:string "
    "marked_for_deletion_on:string? marked_for_deletion_at:string? created_at:string",
    "Branch": "name:string merged:boolean protected:boolean default:boolean developers_can_push:boolean "
    "developers_can_merge:boolean can_push:boolean web_url:string commit:object",
    "MergeRequest": "id:integer iid:integer project_id:integer source_project_id:integer target_project_id:integer "
    "title:string description:string? state:string source_branch:string target_branch:string web_url:string "
    "detailed_merge_status:string merge_status:string merge_commit_sha:string? sha:string draft:boolean "
    "force_remove_source_branch:boolean should_remove_source_branch:boolean? merged_at:string? closed_at:string?",
    "Hook": "id:integer url:string name:string? description:string? project_id:integer push_events:boolean "
    "push_events_branch_filter:string? issues_events:boolean confidential_issues_events:boolean "
    "merge_requests_events:boolean tag_push_events:boolean note_events:boolean confidential_note_events:boolean "
    "job_events:boolean pipeline_events:boolean wiki_page_events:boolean deployment_events:boolean "
    "releases_events:boolean feature_flag_events:boolean repository_update_events:boolean "
    "emoji_events:boolean milestone_events:boolean "
    "resource_access_token_events:boolean enable_ssl_verification:boolean alert_status:string disabled_until:string? "
    "created_at:string",
    "Variable": "key:string variable_type:string value:string? protected:boolean masked:boolean hidden:boolean "
    "raw:boolean environment_scope:string description:string?",
    "DeployKey": "id:integer title:string key:string fingerprint:string fingerprint_sha256:string created_at:string "
    "expires_at:string? can_push:boolean",
}
_PAGE = "page:integer per_page:integer"
_HOOK = (
    "url:string! name:string description:string confidential_issues_events:boolean confidential_note_events:boolean "
    "deployment_events:boolean enable_ssl_verification:boolean feature_flag_events:boolean issues_events:boolean "
    "job_events:boolean merge_requests_events:boolean note_events:boolean pipeline_events:boolean "
    "push_events_branch_filter:string branch_filter_strategy:string push_events:boolean releases_events:boolean "
    "tag_push_events:boolean token:string wiki_page_events:boolean resource_access_token_events:boolean "
    "emoji_events:boolean milestone_events:boolean"
)
_SCOPE = "filter[environment_scope]:string"
_VARIABLE = "description:string environment_scope:string masked:boolean protected:boolean raw:boolean variable_type:string"


class Operation(NamedTuple):
    """An operation, as a page has it.

    Attributes:
        page: the page's name, below `DOCS`.
        does: method and path.
        answer: status, and the entity: ``[]`` after it for a list; nothing after the status for none.
        query: its parameters.
        body: the attributes that are sent; empty for none. ``!`` is for those that are required, ``?`` for null.
    """

    page: str
    does: str
    answer: str
    query: str = ""
    body: str = ""


OPERATIONS = (
    Operation("namespaces", "GET /namespaces", "200 Namespace[]", f"{_PAGE} search:string"),
    Operation("namespaces", "GET /namespaces/{id}", "200 Namespace"),
    Operation(
        "projects",
        "POST /projects",
        "201 Project",
        body="name:string path:string namespace_id:integer description:string visibility:string "
        "initialize_with_readme:boolean default_branch:string topics:string[]",
    ),
    Operation("projects", f"GET {PROJECT}", "200 Project"),
    Operation(
        "projects",
        f"PUT {PROJECT}",
        "200 Project",
        body="name:string path:string description:string visibility:string default_branch:string topics:string[]",
    ),
    Operation("projects", f"DELETE {PROJECT}", "202"),
    Operation("projects", f"PUT {PROJECT}/transfer", "200 Project", body="namespace:string|integer!"),
    Operation("branches", f"GET {PROJECT}/repository/branches/{{branch}}", "200 Branch"),
    Operation(
        "merge_requests",
        f"GET {PROJECT}/merge_requests",
        "200 MergeRequest[]",
        f"{_PAGE} state:string source_branch:string target_branch:string order_by:string sort:string",
    ),
    Operation(
        "merge_requests",
        f"POST {PROJECT}/merge_requests",
        "201 MergeRequest",
        body="source_branch:string! target_branch:string! title:string! description:string "
        "remove_source_branch:boolean squash:boolean target_project_id:integer",
    ),
    Operation("merge_requests", f"GET {REQUEST}", "200 MergeRequest"),
    Operation(
        "merge_requests",
        f"PUT {REQUEST}",
        "200 MergeRequest",
        body="title:string description:string state_event:string target_branch:string remove_source_branch:boolean",
    ),
    Operation(
        "merge_requests",
        f"PUT {REQUEST}/merge",
        "200 MergeRequest",
        body="merge_commit_message:string sha:string should_remove_source_branch:boolean squash:boolean",
    ),
    Operation("project_webhooks", f"GET {PROJECT}/hooks", "200 Hook[]", _PAGE),
    Operation("project_webhooks", f"POST {PROJECT}/hooks", "201 Hook", body=_HOOK),
    Operation("project_webhooks", f"PUT {PROJECT}/hooks/{{hook_id}}", "200 Hook", body=_HOOK),
    Operation("project_webhooks", f"DELETE {PROJECT}/hooks/{{hook_id}}", "204"),
    Operation("project_level_variables", f"GET {PROJECT}/variables", "200 Variable[]", _PAGE),
    Operation(
        "project_level_variables",
        f"POST {PROJECT}/variables",
        "201 Variable",
        body=f"key:string! value:string! masked_and_hidden:boolean {_VARIABLE}",
    ),
    Operation(
        "project_level_variables",
        f"PUT {PROJECT}/variables/{{key}}",
        "200 Variable",
        _SCOPE,
        f"key:string value:string! {_VARIABLE}",
    ),
    Operation("project_level_variables", f"DELETE {PROJECT}/variables/{{key}}", "204", _SCOPE),
    Operation("deploy_keys", f"GET {PROJECT}/deploy_keys", "200 DeployKey[]", _PAGE),
    Operation(
        "deploy_keys",
        f"POST {PROJECT}/deploy_keys",
        "201 DeployKey",
        body="title:string! key:string! can_push:boolean expires_at:string",
    ),
    Operation("deploy_keys", f"DELETE {PROJECT}/deploy_keys/{{key_id}}", "204"),
)


def schema(kind: str) -> dict[str, Any]:
    """Describe one type: ``string``, ``string?``, ``string[]``, ``string|integer``, or an entity's name."""
    if kind.endswith("?"):
        return {**schema(kind[:-1]), "nullable": True}
    if kind.endswith("[]"):
        return {"type": "array", "items": schema(kind[:-2])}
    if "|" in kind:
        return {"anyOf": [schema(one) for one in kind.split("|")]}
    return {"$ref": f"#/components/schemas/{kind}"} if kind in ENTITIES else {"type": kind}


def fields(text: str) -> dict[str, Any]:
    """Describe what has fields."""
    pairs = [field.rsplit(":", 1) for field in text.split()]
    required = [name for name, kind in pairs if kind.endswith("!")]
    made: dict[str, Any] = {
        "type": "object",
        "properties": {name: schema(kind.rstrip("!")) for name, kind in pairs},
    }
    return {**made, "required": required} if required else made


def described(operation: Operation) -> dict[str, Any]:
    """Describe an operation."""
    path = operation.does.split(" ")[1]
    placed = [step[1:-1] for step in path.split("/") if step.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in placed
    ]
    for name, found in fields(operation.query)["properties"].items():
        parameters.append({"name": name, "in": "query", "required": False, "schema": found})
    status, _, entity = operation.answer.partition(" ")
    content = {"content": {"application/json": {"schema": schema(entity)}}} if entity else {}
    made: dict[str, Any] = {
        "externalDocs": {"url": f"{DOCS}/{operation.page}/"},
        "parameters": parameters,
        "responses": {status: {"description": "", **content}},
    }
    if operation.body:
        body = fields(operation.body)
        made["requestBody"] = {
            "required": "required" in body,
            "content": {"application/json": {"schema": body}},
        }
    return made


def document() -> dict[str, Any]:
    """Describe everything."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        method, path = operation.does.split(" ")
        paths.setdefault(path, {})[method.lower()] = described(operation)
    return {
        "openapi": "3.0.0",
        "info": {"title": "GitLab REST API, as documented", "version": "v4"},
        "servers": [{"url": "/api/v4"}],
        "paths": paths,
        "components": {"schemas": {name: fields(text) for name, text in ENTITIES.items()}},
    }


if __name__ == "__main__":
    target = Path(__file__).with_name("gitlab.json")
    target.write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
