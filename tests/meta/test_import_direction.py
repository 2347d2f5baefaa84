"""Who may import whom: the layers of `docs/architecture.md`, read from the imports themselves."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# each layer may import itself and everything to its right; a tuple is one level, whose members may import each other
LEVELS: list[tuple[str, ...]] = [
    ("cli", "__main__"),
    ("engine", "report"),
    ("config", "planning", "state", "plugins"),
    ("graph", "hookspecs", "context"),
    ("model",),
    ("errors",),
    ("record", "collector"),
]
LEVEL_OF = {name: number for number, names in enumerate(LEVELS) for name in names}

# the one door of each third-party library
DOORS: dict[str, tuple[str, ...]] = {
    "pluggy": ("devstream/hookspecs.py", "devstream/plugins/"),
    "yaml": ("devstream/config/", "devstream/state/dtm.py", "contrib_plugins/"),
    "jinja2": ("devstream/config/", "devstream/builtin/file.py", "contrib_plugins/"),
    "tabulate": ("devstream/report/tables.py",),
    "httpx": (
        "devstream/engine/context.py",
        "devstream/engine/transport.py",
        "contrib_plugins/",
        "devstream/testing/",
    ),
    "obstore": ("devstream/builtin/s3", "devstream/testing/"),
    "boto3": ("devstream/builtin/s3", "devstream/testing/"),
    "lightkube": ("devstream/builtin/kubernetes", "devstream/testing/"),
    "cryptography": (
        "devstream/state/encryption",
        "contrib_plugins/devstream-plugin-jenkins/devstream_plugin_jenkins/deploy_key",
        "devstream/testing/",
    ),
    "click": ("devstream/cli/", "devstream/__main__.py"),
}

# who may touch the world without going through a hook's context, and why
RAW_WORLD: dict[str, str] = {
    "devstream/engine/process.py": "runs the commands of hooks",
    "devstream/engine/context.py": "hands httpx to hooks",
    "devstream/engine/state_keys.py": "runs the user's own command that prints a passphrase",
    "devstream/engine/transport.py": "the transport of httpx that hooks are given",
    "contrib_plugins/devstream-plugin-scm/devstream_plugin_scm/downloads.py": "builds an httpx client on a guarded transport",
    "contrib_plugins/devstream-plugin-scm/devstream_plugin_scm/rest": "builds httpx and requests clients on guarded transports",
    "contrib_plugins/devstream-plugin-jenkins/devstream_plugin_jenkins/client": "builds its httpx client on the guarded transport",
    "devstream/testing/": "runs the product and plain commands in tests",
    "devstream/report/graph.py": "calls dot for SVG",
    "contrib_plugins/devstream-plugin-scm/devstream_plugin_scm/local_ci": "is a git hook: it runs the user's commands",
}


def sources(folder: str) -> list[Path]:
    return [
        path
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "templates" not in path.parts and "tests" not in path.parts
    ]


def imports(path: Path, *, runtime_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if runtime_only and node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module)
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", sources("devstream"), ids=relative)
def test_imports_point_downwards(path: Path) -> None:
    own = path.relative_to(ROOT / "devstream").parts[0].removesuffix(".py")
    if own not in LEVEL_OF:
        return  # api, builtin and testing have rules of their own, below
    wrong = [
        name
        for name in imports(path, runtime_only=own in ("model", "hookspecs", "context"))
        if name.startswith("devstream.")
        and (LEVEL_OF.get(layer(name)) is None or LEVEL_OF[layer(name)] < LEVEL_OF[own])
    ]
    if own == "plugins":
        wrong = [name for name in wrong if not name.startswith("devstream.state.backend")]
    assert not wrong, f"{relative(path)} must not import {wrong}"


@pytest.mark.parametrize("path", sources("devstream/builtin"), ids=relative)
def test_builtin_plugins_import_only_the_public_api(path: Path) -> None:
    wrong = [
        name
        for name in imports(path)
        if name.startswith("devstream") and name not in ("devstream.api", "devstream.builtin")
    ]
    assert not [name for name in wrong if not name.startswith("devstream.builtin.")]


@pytest.mark.parametrize("path", sources("contrib_plugins"), ids=relative)
def test_contrib_plugins_import_only_the_public_api(path: Path) -> None:
    package = next(part for part in path.parts if part.startswith("devstream_plugin_"))
    public = ("devstream.api", "devstream.testing") if path.name.startswith("testing") else ("devstream.api",)
    wrong = [
        name
        for name in imports(path)
        if name.split(".")[0] == "devstream" and not name.startswith((*public, package))
    ]
    assert not wrong


@pytest.mark.parametrize("path", [*sources("devstream"), *sources("contrib_plugins")], ids=relative)
def test_each_library_has_one_door(path: Path) -> None:
    name = relative(path)
    wrong = [
        library
        for library in {module.split(".")[0] for module in imports(path, runtime_only=True)}
        if library in DOORS and not name.startswith(DOORS[library])
    ]
    assert not wrong, f"{name} must not import {wrong}"


@pytest.mark.parametrize("path", [*sources("devstream"), *sources("contrib_plugins")], ids=relative)
def test_only_listed_modules_reach_the_world_by_themselves(path: Path) -> None:
    raw = {"subprocess", "socket", "httpx", "requests", "urllib.request", "http.client"} & imports(
        path, runtime_only=True
    )
    assert not raw or relative(path).startswith(tuple(RAW_WORLD)), f"{relative(path)} imports {raw}"


def test_the_raw_list_names_nothing_that_is_gone() -> None:
    assert all((ROOT / name).exists() or list(ROOT.glob(f"{name}*")) for name in RAW_WORLD)


def test_third_party_imports_are_declared() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = project["dependencies"]
    extras = [
        name
        for extra, names in project["optional-dependencies"].items()
        if extra != "testing"
        for name in names
    ]
    modules = {"pyyaml": "yaml"}

    def imported(requirements: list[str]) -> set[str]:
        names = {requirement.split(">")[0].split("[")[0] for requirement in requirements}
        return {modules.get(name, name) for name in names}

    used = {
        module.split(".")[0]
        for path in sources("devstream")
        if "testing" not in path.parts
        for module in imports(path)
    }
    outside = used - set(sys.stdlib_module_names) - {"devstream", "__future__"}
    assert imported(core) <= outside <= imported(core) | imported(extras) | {"botocore"}  # boto3's other half
