"""Exactly one provider is asked; wrappers of every plugin see every tool."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from devstream.errors import OperationError, PluginError
from devstream.hookspecs import PROJECT, ToolSpecs
from devstream.model.status import ResourceStatus

if TYPE_CHECKING:
    from .conftest import Site

FULL = """
from devstream.api import ResourceStatus, hookimpl

ANSWERS = {}

def answer(hook):
    return ANSWERS.get(hook, ResourceStatus(properties={"by": __name__, "hook": hook}))

@hookimpl
def create(tool): return answer("create")
@hookimpl
def read(tool, recorded): return answer("read")
@hookimpl
def update(tool): return answer("update")
@hookimpl
def delete(tool): return answer("delete")
@hookimpl
def integrate(tool): return ANSWERS.get("integrate", {"by": __name__})
"""
WRAPPER = """
from devstream.api import hookimpl

SEEN = []

@hookimpl(wrapper=True)
def create(tool):
    SEEN.append(tool)
    return (yield)
"""
ANY: Any = None


def created_by(manager: Any, name: str) -> object:
    return manager.tool(name).hooks.create(tool=name, context=ANY).properties["by"]


def test_trap_1_a_subset_caller_of_pluggy_lists_those_to_leave_out() -> None:
    """This is why callers are made anew whenever a plugin was added."""

    def plugin(answer: str) -> Any:
        hook = pluggy.HookimplMarker(PROJECT)
        return type(answer, (), {"create": hook(lambda self, tool: answer)})()

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(ToolSpecs)
    early = plugin("early")
    manager.register(early)
    caller = manager.subset_hook_caller("create", [])
    manager.register(plugin("late"))
    assert caller(tool=None, context=None) == "late"


def test_trap_1_a_plugin_that_comes_later_is_not_asked(site: Site) -> None:
    for name in ("one", "two", "three"):
        site.tool(name, f"module_{name}", FULL)
    manager = site.manager()
    assert created_by(manager, "one") == "module_one"
    for name in ("two", "three"):
        manager.tool(name)
        assert [created_by(manager, known) for known in ("one", name)] == ["module_one", f"module_{name}"]


def test_trap_2_one_module_under_two_names(site: Site) -> None:
    site.module("shared", FULL)
    site.distribution("dist", "[devstream.tools]\na = shared\nb = shared\nc = shared:answer\n")
    module = __import__("shared")
    plain = pluggy.PluginManager(PROJECT)
    plain.register(module, "a")
    with pytest.raises(ValueError, match="already registered"):
        plain.register(module, "b")
    manager = site.manager()
    assert created_by(manager, "a") == created_by(manager, "b") == "shared"


def test_none_from_read_means_gone_and_nobody_else_is_asked(site: Site) -> None:
    site.tool("one", "module_one", FULL)
    site.tool("two", "module_two", FULL)
    manager = site.manager()
    manager.load(["one", "two"])
    sys.modules["module_one"].ANSWERS["read"] = None
    assert manager.tool("one").hooks.read(tool=ANY, recorded=None, context=ANY) is None
    there = manager.tool("two").hooks.read(tool=ANY, recorded=None, context=ANY)
    assert there is not None
    assert there.properties["by"] == "module_two"


def test_none_from_create_and_update_is_an_empty_status(site: Site) -> None:
    site.tool("one", "module_one", FULL)
    hooks = site.manager().tool("one").hooks
    sys.modules["module_one"].ANSWERS.update(create=None, update=None, delete=None, integrate=None)
    assert hooks.create(tool=ANY, context=ANY) == ResourceStatus()
    assert hooks.update(tool=ANY, recorded=ANY, context=ANY) == ResourceStatus()
    hooks.delete(tool=ANY, recorded=ANY, context=ANY)
    assert hooks.integrate(tool=ANY, status=ANY, upstream={}, context=ANY) is None


def test_each_hook_reaches_its_own(site: Site) -> None:
    site.tool("one", "module_one", FULL)
    hooks = site.manager().tool("one").hooks
    update = hooks.update(tool=ANY, recorded=ANY, context=ANY)
    assert update.properties == {"by": "module_one", "hook": "update"}
    assert hooks.integrate(tool=ANY, status=ANY, upstream={}, context=ANY) == {"by": "module_one"}


@pytest.mark.parametrize("hook", ["create", "read", "update", "integrate"])
def test_a_wrong_answer_is_a_defect_of_the_plugin(site: Site, hook: str) -> None:
    site.tool("one", "module_one", FULL, distribution="my-dist")
    hooks = site.manager().tool("one").hooks
    sys.modules["module_one"].ANSWERS[hook] = "done"
    arguments: dict[str, Any] = {"tool": None, "context": None}
    arguments |= {"read": {"recorded": None}, "update": {"recorded": None}}.get(hook, {})
    arguments |= {"status": None, "upstream": {}} if hook == "integrate" else {}
    with pytest.raises(OperationError) as caught:
        getattr(hooks, hook)(**arguments)
    assert f"{hook} of " in str(caught.value)
    assert "my-dist" in str(caught.value)
    assert "returned str" in str(caught.value)


def test_a_hook_that_is_not_implemented_is_never_taken_for_gone(site: Site) -> None:
    site.tool("one", "only_create")
    site.tool("two", "module_two", FULL)
    manager = site.manager()
    manager.load(["one", "two"])
    hooks = manager.tool("one").hooks
    assert [hooks.implements(hook) for hook in ("create", "read", "delete")] == [True, False, False]
    with pytest.raises(PluginError, match="does not implement read"):
        hooks.read(tool=ANY, recorded=None, context=ANY)


def test_errors_of_a_hook_pass_through(site: Site) -> None:
    site.tool(
        "one",
        "raising",
        "from devstream.api import *\n@hookimpl\ndef create(tool): raise RetryableError('busy')",
    )
    with pytest.raises(OperationError, match="busy"):
        site.manager().tool("one").hooks.create(tool=ANY, context=ANY)


def test_wrappers_of_other_plugins_see_every_tool(site: Site) -> None:
    site.tool("one", "module_one", FULL)
    site.tool("two", "module_two", FULL)
    site.local(WRAPPER)
    site.module("argued", WRAPPER)
    manager = site.manager("argued")
    assert [created_by(manager, name) for name in ("one", "two", "one")] == [
        "module_one", "module_two", "module_one",
    ]  # fmt: skip
    assert sys.modules["argued"].SEEN == ["one", "two", "one"]


def test_a_provider_may_wrap_other_tools_and_its_own(site: Site) -> None:
    site.tool("one", "module_one", FULL)
    site.tool(
        "two",
        "module_two",
        FULL + WRAPPER.replace("def create", "def watch").replace("True", "True, specname='create'"),
    )
    manager = site.manager()
    manager.load(["one", "two"])
    assert [created_by(manager, "one"), created_by(manager, "two")] == ["module_one", "module_two"]
    assert sys.modules["module_two"].SEEN == ["one", "two"]


def test_a_wrapper_around_read_sees_that_it_is_gone(site: Site) -> None:
    site.tool("one", "module_one", FULL)
    site.local(
        """
        from devstream.api import hookimpl, ResourceStatus
        @hookimpl(wrapper=True)
        def read(tool):
            found = yield
            return ResourceStatus(properties={"found": found is not None})
        """
    )
    hooks = site.manager().tool("one").hooks
    sys.modules["module_one"].ANSWERS["read"] = None
    status = hooks.read(tool=ANY, recorded=None, context=ANY)
    assert status is not None
    assert status.properties == {"found": False}


UNUSUAL = """
from dataclasses import dataclass
from devstream.api import ResourceStatus, hookimpl, tool

@tool("unusual-a")
@dataclass
class A:
    who: str = "same"
    @hookimpl
    def create(self): return ResourceStatus(properties={"by": "a"})

@tool("unusual-b")
class B:
    def __eq__(self, other): raise RuntimeError("do not compare")
    @staticmethod
    @hookimpl
    def create(): return ResourceStatus(properties={"by": "b"})

@tool("unusual-c")
class C:
    @hookimpl
    @classmethod
    def create(cls): return ResourceStatus(properties={"by": cls.__name__.lower()})
    @property
    def update(self): raise RuntimeError("not a hook")
"""


def test_plugins_that_do_not_hash_or_compare(site: Site) -> None:
    site.local(UNUSUAL)
    manager = site.manager()
    names = ["unusual-a", "unusual-b", "unusual-c"]
    manager.load(names)
    assert [created_by(manager, name) for name in names] == ["a", "b", "c"]
