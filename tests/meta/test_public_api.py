"""The names plugin authors rely on; a change here is a change of the contract."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import devstream
from devstream import api, hookspecs

ROOT = Path(__file__).parents[2]

PUBLIC = [
    "Address", "AppDefaults", "BackendRegistry", "CompletedCommand", "Context", "CredentialsError", "DevstreamError",
    "Diagnostic", "Event", "Head", "KernelLease", "LeaseHolder", "Log", "Mark", "OperationCancelled",
    "OperationError", "OptionError", "Outputs", "PluginError", "ProbePlace", "Probed", "Refusal", "ResourceStatus", "RetryableError", "Secret",
    "SecretSource", "SecretSourceRegistry", "StateBackend", "StateConflictError", "StateUnreachableError",
    "SwapRefused", "SwapUnsettled", "Tool", "ToolSchema", "ToolState", "Traits", "WrongOption", "hookimpl", "nearest", "option", "tool",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert sorted(api.__all__) == sorted(PUBLIC)
    assert all(hasattr(api, name) for name in api.__all__)


def modules() -> list[str]:
    found = [info.name for info in pkgutil.walk_packages(devstream.__path__, "devstream.")]
    return [name for name in found if name != "devstream.__main__"]


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is_for_and_what_it_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    if module.__spec__ and module.__spec__.submodule_search_locations is None:
        exported = module.__all__
        assert all(hasattr(module, word) for word in exported)


def test_all_modules_import_without_warnings() -> None:
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *modules()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


SPECS = {
    name: function
    for owner in (hookspecs.ToolSpecs, hookspecs.ExtensionSpecs)
    for name, function in vars(owner).items()
    if inspect.isfunction(function)
}


@pytest.mark.parametrize("name", SPECS)
def test_every_hook_is_documented_with_its_arguments(name: str) -> None:
    arguments = ", ".join(list(inspect.signature(SPECS[name]).parameters)[1:])
    assert f"`{name}({arguments})`" in (ROOT / "docs/reference/hooks.md").read_text()


@pytest.mark.parametrize("name", SPECS)
def test_every_hook_is_exercised_by_a_test(name: str) -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests").rglob("*.py")
        if "meta" not in path.parts
    ]
    assert any(re.search(rf"\b{name}\b", text) for text in texts), f"no test implements {name}"
