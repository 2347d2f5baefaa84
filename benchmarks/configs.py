"""The same graph, written for each program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.workloads import VARIABLES, Shape, fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.workloads import Load

__all__ = [
    "ansible_playbook",
    "devstream_yaml",
    "dodo",
    "pyinfra_deploy",
    "terraform_hcl",
    "terraform_state",
]

_VARS = "vars:\n" + "".join(f"  {name}: {value}\n" for name, value in VARIABLES.items())

_TOOL = """\
  - name: noop
    instanceID: t{index}
    tags: [bench, "[[ team ]]"]
    options:
      delay: {delay}
      input:
        name: {name}
        owner: {owner}
        image: {image}
        replicas: {replicas}
        ports: {ports}
        from: {from}
"""

_PIPELINE = """\
  - name: {name}
    type: noop
    options:
      input:
        step: {name}
        image: "[[ registry ]]/[[ service ]]:1.4.2"
        owner: "[[ owner ]]"
"""

_APP = """\
  - name: app{index}
    spec: {{language: python, framework: flask}}
    repo: {{owner: "[[ owner ]]", scmType: local}}
    ci:
      - {{type: template, templateName: build, name: build, vars: {{service: service-{index}}}}}
      - {{type: template, templateName: test, name: test, vars: {{service: service-{index}}}}}
    cd:
      - {{type: template, templateName: deploy, name: deploy, vars: {{service: service-{index}}}}}
"""


def devstream_yaml(load: Load) -> str:
    """Write the configuration of devstream."""
    if load.shape is Shape.APPS:
        return _apps(load.tools // 3)
    return _VARS + "tools:\n" + "".join(_tool(load, index) for index in range(load.tools))


def _tool(load: Load, index: int) -> str:
    reference = "${{{{ noop.t{0}.outputs.output.image }}}}"
    values = fields(load, index, owner="[[ owner ]]", registry="[[ registry ]]", reference=reference)
    written = {name: json.dumps(value) for name, value in values.items()}
    return _TOOL.format(index=index, delay=load.delay, **written)


def _apps(count: int) -> str:
    templates = "".join(_PIPELINE.format(name=name) for name in ("build", "test", "deploy"))
    apps = "".join(_APP.format(index=index) for index in range(count))
    return f"{_VARS}pipelineTemplates:\n{templates}apps:\n{apps}"


def terraform_hcl(load: Load) -> str:
    """Write the configuration of terraform."""
    variables = "".join(f'variable "{name}" {{ default = "{value}" }}\n' for name, value in VARIABLES.items())
    return variables + "".join(_resource(load, index) for index in range(load.tools))


def _resource(load: Load, index: int) -> str:
    reference = "${{terraform_data.t{0}.output.image}}"
    values = fields(load, index, owner="${var.owner}", registry="${var.registry}", reference=reference)
    lines = "".join(f"    {name} = {json.dumps(value)}\n" for name, value in values.items())
    return f'resource "terraform_data" "t{index}" {{\n  input = {{\n{lines}  }}\n}}\n'


def terraform_state(load: Load) -> str:
    """Write the state that ``terraform apply`` would leave; to apply 1,000 resources takes it a minute."""
    state = {
        "version": 4,
        "terraform_version": "1.0.0",
        "serial": 1,
        "lineage": "6f1d3a5c-8f3e-4a52-9d0b-4c1f7f1c2b3a",
        "outputs": {},
        "resources": list(_recorded(load)),
    }
    return json.dumps(state, indent=2)


def _recorded(load: Load) -> Iterator[dict[str, Any]]:
    images = [f"{VARIABLES['registry']}/service-{index}:1.4.2" for index in range(load.tools)]
    behind: list[
        frozenset[int]
    ] = []  # terraform records everything that a resource depends on, not only directly
    for index in range(load.tools):
        upstream = load.upstream(index)
        behind.append(frozenset(upstream).union(*(behind[other] for other in upstream)))
        values = fields(
            load, index, owner=VARIABLES["owner"], registry=VARIABLES["registry"], reference="{0}"
        )
        values["from"] = [images[other] for other in upstream]
        dynamic = {"value": values, "type": _type_of(values)}
        instance = {
            "schema_version": 0,
            "attributes": {
                "id": f"00000000-0000-4000-8000-{index:012}",
                "input": dynamic,
                "output": dynamic,
                "triggers_replace": None,
            },
            "sensitive_attributes": [],
            "dependencies": [f"terraform_data.t{other}" for other in sorted(behind[index])],
        }
        provider = 'provider["terraform.io/builtin/terraform"]'
        place = {"mode": "managed", "type": "terraform_data", "name": f"t{index}", "provider": provider}
        yield {**place, "instances": [instance]}


def _type_of(value: Any) -> Any:
    """Give a value's type, as terraform writes types."""
    if isinstance(value, dict):
        return ["object", {name: _type_of(each) for name, each in value.items()}]
    if isinstance(value, list):
        return ["tuple", [_type_of(each) for each in value]]
    return "string" if isinstance(value, str) else "number"


def dodo(load: Load) -> str:
    """Write doit's tasks: Python, which is how they are written; up to date while their values are the same."""
    edges = [load.upstream(index) for index in range(load.tools)]
    return f"""\
from doit.tools import config_changed

VARIABLES = {VARIABLES!r}
UPSTREAM = {edges!r}


def nothing(values):
    return {{"output": values["image"]}}


def task_t():
    for index, upstream in enumerate(UPSTREAM):
        values = {{
            "name": f"service-{{index}}",
            "owner": VARIABLES["owner"],
            "image": f"{{VARIABLES['registry']}}/service-{{index}}:1.4.2",
            "replicas": 3,
            "ports": [8080, 9090],
            "from": [f"{{VARIABLES['registry']}}/service-{{other}}:1.4.2" for other in upstream],
        }}
        yield {{
            "name": str(index),
            "actions": [(nothing, [values])],
            "task_dep": [f"t:{{other}}" for other in upstream],
            "uptodate": [config_changed(values)],
        }}
"""


def ansible_playbook(load: Load) -> str:
    """Write a playbook that sets a fact a tool, the least that a task of ansible can do."""
    variables = "".join(f"    {name}: {value}\n" for name, value in VARIABLES.items())
    tasks = []
    for index in range(load.tools):
        values = fields(
            load, index, owner="{{ owner }}", registry="{{ registry }}", reference="{{{{ t{0}.image }}}}"
        )
        tasks.append(f"    - ansible.builtin.set_fact: {json.dumps({f't{index}': values})}\n")
    head = "- hosts: localhost\n  connection: local\n  gather_facts: false\n"
    return f"{head}  vars:\n{variables}  tasks:\n{''.join(tasks)}"


def pyinfra_deploy(load: Load) -> str:
    """Write a deploy that runs ``true`` a tool, the least that an operation of pyinfra can do."""
    return f"""\
from pyinfra.operations import server

for index in range({load.tools}):
    server.shell(name=f"service-{{index}}", commands=["true"])
"""
