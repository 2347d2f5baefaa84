"""Which plugin a name stands for, and what is said when there is none, two, or one that does not load."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import Mark, PluginError, Severity
from devstream.model.address import Address
from devstream.model.events import ReadStarted

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Site

LOCAL = """
from devstream.api import ResourceStatus, hookimpl, tool

@tool("greeting", "hello")
class Greeting:
    '''Greets people.

    At length.
    '''

    made = 0

    def __init__(self):
        Greeting.made += 1

    @hookimpl
    def create(self, tool, context):
        return ResourceStatus(properties={"by": "local", "made": Greeting.made})
"""
EVENT = ReadStarted(Address("noop", "a"))


def by(site_manager: Any, name: str) -> object:
    """Call create, and tell who answered."""
    return site_manager.tool(name).hooks.create(tool=None, context=None).properties["by"]


def failure(site: Site, name: str, *arguments: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        site.manager(*arguments).tool(name)
    return caught.value


# who wins


def test_argument_beats_local_beats_installed_beats_builtin(site: Site) -> None:
    manager = site.manager()
    assert manager.tool("noop").distribution == "devstream"

    site.tool("noop", "installed_one")
    assert by(site.manager(), "noop") == "installed_one"

    site.local(LOCAL.replace('"greeting", "hello"', '"noop"'))
    assert by(site.manager(), "noop") == "local"

    site.module("argued", LOCAL.replace('"greeting", "hello"', '"noop"').replace('"local"', '"argument"'))
    assert by(site.manager("argued"), "noop") == "argument"


def test_one_name_twice_on_a_level_names_both_places(site: Site) -> None:
    site.tool("deploy", "one", distribution="dist-a")
    site.tool("deploy", "two", distribution="dist-b")
    error = failure(site, "deploy")
    assert "dist-a 1.0, one" in str(error)
    assert "dist-b 1.0, two" in str(error)
    assert "-p no:dist-b" in str(error)
    assert by(site.manager("no:dist-b"), "deploy") == "one"
    assert by(site.manager("no:one"), "deploy") == "two"


def test_two_that_collide_do_not_disturb_other_tools(site: Site) -> None:
    site.tool("deploy", "one")
    site.tool("deploy", "two")
    site.manager().load(["noop"])


def test_twice_in_the_local_file(site: Site) -> None:
    site.local(LOCAL + LOCAL.replace("class Greeting", "class Other").replace('"hello"', '"bye"'))
    error = failure(site, "greeting")
    assert "Greeting in " in str(error)
    assert "Other in " in str(error)


def test_two_names_for_one_object_are_aliases(site: Site) -> None:
    site.module("shared")
    site.distribution("dist", "[devstream.tools]\nold-name = shared\nnew-name = shared\n")
    manager = site.manager()
    manager.load(["old-name", "new-name"])
    assert by(manager, "old-name") == by(manager, "new-name") == "shared"
    assert manager.tool("old-name").name == "old-name"


def test_a_class_with_two_names_is_made_once(site: Site) -> None:
    site.local(LOCAL)
    manager = site.manager()
    manager.load(["greeting", "hello"])
    status = manager.tool("hello").hooks.create(tool=None, context=None)  # type: ignore[arg-type]  # not looked at
    assert status.properties["made"] == 1


# entry points


def test_an_entry_point_may_name_an_object(site: Site) -> None:
    site.module(
        "pkg_objects",
        """
        from devstream.api import ResourceStatus, hookimpl

        class Tool:
            def __init__(self, who="class"):
                self.who = who
            @hookimpl
            def create(self, tool):
                return ResourceStatus(properties={"by": self.who})

        instance = Tool("instance")
        """,
    )
    site.distribution(
        "dist", "[devstream.tools]\nby-class = pkg_objects:Tool\nby-instance = pkg_objects:instance\n"
    )
    manager = site.manager()
    assert by(manager, "by-class") == "class"
    assert by(manager, "by-instance") == "instance"


def test_an_entry_point_may_name_a_module_with_a_declared_class(site: Site) -> None:
    site.tool("greeting", "declared_in_package", LOCAL)
    assert by(site.manager(), "greeting") == "local"


def test_nothing_is_imported_that_is_not_asked_for(site: Site) -> None:
    site.tool("used", "used_module")
    site.tool("unused", "unused_module", "raise SystemError('must not be imported')")
    manager = site.manager()
    manager.load(["used"])
    assert "unused_module" not in sys.modules
    assert {listing.name for listing in manager.available()} >= {"used", "unused"}


def test_distribution_and_version(site: Site) -> None:
    site.tool("deploy", "one", distribution="my-dist")
    plugin = site.manager().tool("deploy")
    assert (plugin.distribution, plugin.version) == ("my-dist", "1.0")


# what does not load

BROKEN = {
    "missing dependency": ("import nowhere_to_be_found", "ModuleNotFoundError", "nowhere_to_be_found"),
    "syntax": ("def (:", "SyntaxError", ""),
    "raises": ("raise RuntimeError('cannot go on')", "RuntimeError: cannot go on", ""),
    "exits": ("raise SystemExit(3)", "SystemExit", ""),
    "no create": ("from devstream.api import hookimpl", "does not implement create", "@hookimpl"),
    "misspelt and marked": (
        "from devstream.api import hookimpl\n@hookimpl\ndef craete(tool): ...",
        'the hook "craete", which does not exist',
        'did you mean "create"?',
    ),
    "misspelt": (
        "from devstream.api import hookimpl\n@hookimpl\ndef create(tool): ...\ndef raed(tool): ...",
        "function raed that looks like the hook read",
        'did you mean "read", with @hookimpl?',
    ),
    "not marked": (
        "from devstream.api import hookimpl\n@hookimpl\ndef create(tool): ...\ndef delete(tool): ...",
        "function delete that looks like the hook delete",
        "mark it with @hookimpl",
    ),
    "bad argument": (
        "from devstream.api import hookimpl\n@hookimpl\ndef create(tool, contxt): ...",
        "contxt",
        "",
    ),
    "bad schema": (
        (
            "from devstream.api import hookimpl\n@hookimpl\ndef create(tool): ...\n"
            "@hookimpl\ndef devstream_tool_schema(): return 7"
        ),
        "returned int, not a ToolSchema",
        "",
    ),
    "no operation at once": (
        (
            "import msgspec\nfrom devstream.api import ToolSchema, hookimpl\n"
            "@hookimpl\ndef create(tool): ...\n"
            "@hookimpl\ndef devstream_tool_schema(): return ToolSchema(options=msgspec.Struct, parallel=0)"
        ),
        "allows 0 operations at once: at least 1",
        "",
    ),
    "schema raises": (
        (
            "from devstream.api import hookimpl\n@hookimpl\ndef create(tool): ...\n"
            "@hookimpl\ndef devstream_tool_schema(): raise KeyError('x')"
        ),
        "fails to describe its options: KeyError",
        "",
    ),
}


@pytest.mark.parametrize(("source", "summary", "hint"), BROKEN.values(), ids=BROKEN)
def test_broken_plugin(site: Site, source: str, summary: str, hint: str) -> None:
    site.tool("deploy", "broken", source, distribution="my-dist")
    error = failure(site, "deploy")
    assert summary in error.diagnostic.summary
    assert hint in error.diagnostic.suggestion
    assert "deploy" in str(error)
    assert "my-dist" in str(error)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("value", ["no_such_module", "json:NoSuchThing"])
def test_an_entry_point_that_leads_nowhere(site: Site, value: str) -> None:
    site.distribution("my-dist", f"[devstream.tools]\ndeploy = {value}\n")
    assert f"my-dist 1.0, {value}" in str(failure(site, "deploy"))


def test_a_class_that_needs_arguments(site: Site) -> None:
    site.local(LOCAL.replace("__init__(self)", "__init__(self, secret)"))
    error = failure(site, "greeting")
    assert "Greeting()" in str(error)
    assert "secret" in str(error)


def test_helpers_with_names_of_their_own_are_left_alone(site: Site) -> None:
    source = """
    from json import dumps as reads
    from devstream.api import hookimpl

    @hookimpl
    def create(tool): ...
    @hookimpl
    def update(tool): ...
    def updated(tool): ...
    def _read(tool): ...
    def render(tool): ...
    """
    site.tool("deploy", "fine", source)
    site.manager().load(["deploy"])


def test_one_broken_tool_does_not_hide_another(site: Site) -> None:
    site.tool("one", "broken_one", "import nowhere_a")
    site.tool("two", "broken_two", "import nowhere_b")
    marks = {"two": Mark("config.yaml", 7, 5)}
    manager = site.manager()
    with pytest.raises(PluginError) as caught:
        manager.load(["one", "noop", "two", "three"], marks)
    one, three, two = caught.value.diagnostics  # in file order, those without a place first
    assert ("nowhere_a" in str(one), "nowhere_b" in str(two), "three" in str(three)) == (True, True, True)
    assert two.mark == marks["two"]
    assert manager.tool("noop").name == "noop"


# what is not there

UNKNOWN = {
    "nop": ['did you mean "noop"?', "pip install devstream-plugin-nop"],
    "github-actions": ["pip install devstream-plugin-scm"],
    "jenkins-pipeline": ["pip install devstream-plugin-jenkins"],
    "argocdapp": ["pip install devstream-plugin-argocdapp"],
    "deploy-servise": ['did you mean "deploy-service"?'],
}


@pytest.mark.parametrize(("name", "hints"), UNKNOWN.items(), ids=UNKNOWN)
def test_unknown_tool(site: Site, name: str, hints: list[str]) -> None:
    site.distribution("my-dist", "[devstream.tools]\ndeploy-service = m\n")
    error = failure(site, name)
    assert error.diagnostic.code == "plugin-missing"
    assert f'there is no tool "{name}"' in str(error)
    assert all(hint in error.diagnostic.suggestion for hint in hints)


def test_a_tool_that_only_metadata_sees(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    archive = tmp_path / "plugins.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-1.0.dist-info/METADATA", "Name: zipped\nVersion: 1.0\n")
        file.writestr("zipped-1.0.dist-info/entry_points.txt", "[devstream.tools]\nzipped = zipped_tool\n")
        file.writestr(
            "zipped_tool.py", "from devstream.api import hookimpl\n@hookimpl\ndef create(tool): ...\n"
        )
    monkeypatch.syspath_prepend(archive)
    site.root = archive
    assert site.manager().tool("zipped").distribution == "zipped"


# blocking


@pytest.mark.parametrize("label", ["deploy", "my-dist", "one"])
def test_blocked_by_argument(site: Site, label: str) -> None:
    site.tool("deploy", "one", distribution="my-dist")
    assert 'no tool "deploy"' in str(failure(site, "deploy", f"no:{label}"))


def test_blocked_by_the_environment(site: Site) -> None:
    manager = site.manager(environ={"DEVSTREAM_DISABLE_PLUGINS": "file, noop"})
    for name in ("file", "noop"):
        with pytest.raises(PluginError, match="DEVSTREAM_DISABLE_PLUGINS blocks it"):
            manager.tool(name)
    assert manager.tool("command").name == "command"


def test_blocking_a_distribution_uncovers_the_builtin_tool(site: Site) -> None:
    site.tool("noop", "one", distribution="my-dist")
    assert site.manager("no:my-dist").tool("noop").distribution == "devstream"


def test_blocking_the_local_file(site: Site) -> None:
    site.local("raise RuntimeError")
    site.manager("no:devstream_plugins").load(["noop"])


# the local file and -p


def test_the_local_file_errors_with_file_and_line(site: Site) -> None:
    site.local("import json\n\ndef broken():\n    return 1 / 0\n\nbroken()\n")
    error = failure(site, "noop")
    assert error.diagnostic.mark == Mark(str(site.folder / "devstream_plugins.py"), 4, 1)
    site.local("x = (\n")
    mark = failure(site, "noop").diagnostic.mark
    assert mark is not None
    assert mark.line == 1


def test_the_local_file_leaves_nothing_behind_and_an_edit_counts(site: Site) -> None:
    site.local(LOCAL)
    assert by(site.manager(), "greeting") == "local"
    site.local(LOCAL.replace('"local"', '"lokal"'))
    assert by(site.manager(), "greeting") == "lokal"
    assert [path.name for path in site.folder.iterdir()] == ["devstream_plugins.py"]


def test_a_module_that_imports_a_tool_does_not_provide_it(site: Site) -> None:
    site.local("from devstream.builtin.noop import Noop\n")
    assert site.manager().tool("noop").distribution == "devstream"


def test_argument_by_path(site: Site) -> None:
    path = site.folder / "more.py"
    path.write_text(LOCAL)
    assert by(site.manager(str(path)), "greeting") == "local"


BAD_ARGUMENTS = {
    "no_such_module_at_all": "No module named",
    "/nowhere/x.py": "No such file",
    "json:dumps": "neither",
}


@pytest.mark.parametrize(("argument", "message"), BAD_ARGUMENTS.items(), ids=BAD_ARGUMENTS)
def test_bad_arguments(site: Site, argument: str, message: str) -> None:
    error = failure(site, "noop", argument)
    assert message in str(error)
    assert argument in str(error)


def test_a_stray_tool_hook_is_refused(site: Site) -> None:
    site.local("from devstream.api import hookimpl\n@hookimpl\ndef create(tool): ...\n")
    error = failure(site, "noop")
    assert "implements create but provides no tool" in str(error)
    assert "wrapper=True" in error.diagnostic.suggestion


# extensions

BACKEND = """
from devstream.api import hookimpl

def make(options, folder):
    return ("backend", dict(options), folder)

@hookimpl
def devstream_register_backends(registry):
    registry.add("S3", make)
"""
SOURCE = BACKEND.replace("devstream_register_backends", "devstream_register_secret_sources").replace(
    '"S3"', '"vault"'
)


def test_backend_from_a_distribution(site: Site) -> None:
    site.module("s3_backend", BACKEND)
    site.distribution("my-dist", "[devstream.extensions]\nbackend.s3 = s3_backend\n")
    made: Any = site.manager().backend("s3")({"bucket": "b"}, site.folder)
    assert made == ("backend", {"bucket": "b"}, site.folder)


def test_backend_from_the_local_file_and_by_argument(site: Site) -> None:
    site.local(BACKEND.replace('"S3"', '"local"'))
    made: Any = site.manager().backend("local")({}, site.folder)
    assert made[0] == "backend"
    site.module("argued_backend", BACKEND.replace('"S3"', '"local"').replace('"backend"', '"argued"'))
    made = site.manager("argued_backend").backend("LOCAL")({}, site.folder)
    assert made[0] == "argued"


def test_secret_source_from_a_distribution(site: Site) -> None:
    site.module("vault_source", SOURCE)
    site.distribution("my-dist", "[devstream.extensions]\nsecrets.vault = vault_source\n")
    made: Any = site.manager().secret_source("Vault")({}, site.folder)
    assert made[0] == "backend"


def test_extensions_load_only_when_asked_for(site: Site) -> None:
    site.distribution("my-dist", "[devstream.extensions]\nbackend.s3 = not_there\n")
    manager = site.manager()
    manager.load(["noop"])
    with pytest.raises(PluginError, match=r"backend\.s3"):
        manager.backend("s3")


@pytest.mark.parametrize(
    ("name", "hint"), [("locl", 'did you mean "local"?'), ("s33", '"s3"'), ("gcs", "devstream-plugin-gcs")]
)
def test_unknown_backend(site: Site, name: str, hint: str) -> None:
    site.distribution("my-dist", "[devstream.extensions]\nbackend.s3 = not_there\n")
    with pytest.raises(PluginError) as caught:
        site.manager().backend(name)
    assert f'there is no state backend "{name}"' in str(caught.value)
    assert hint in caught.value.diagnostic.suggestion


def test_an_extension_that_does_not_register_what_it_promises(site: Site) -> None:
    site.module("s3_backend", BACKEND)
    site.distribution("my-dist", "[devstream.extensions]\nbackend.gcs = s3_backend\n")
    with pytest.raises(PluginError, match='no state backend "gcs"'):
        site.manager().backend("gcs")


def test_two_arguments_that_register_one_backend(site: Site) -> None:
    site.module("backend_one", BACKEND)
    site.module("backend_two", BACKEND)
    with pytest.raises(PluginError) as caught:
        site.manager("backend_one", "backend_two").backend("s3")
    assert "by backend_one and by backend_two" in str(caught.value)


# observers

OBSERVER = """
from devstream.api import hookimpl

SEEN = []

class Observer:
    @hookimpl
    def devstream_event(self, event):
        SEEN.append(event)
"""


def observe(site: Site, name: str, source: str) -> None:
    site.module(name, source)
    site.distribution(f"dist-{name}", f"[devstream.extensions]\nobserver.{name} = {name}:Observer\n")


def test_observers_see_events(site: Site) -> None:
    observe(site, "watcher", OBSERVER)
    manager = site.manager()
    manager.emit(EVENT)
    assert "watcher" not in sys.modules
    manager.load(["noop"])
    manager.emit(EVENT)
    assert sys.modules["watcher"].SEEN == [EVENT]


def test_a_failing_observer_is_reported_once_and_others_still_see(site: Site) -> None:
    observe(site, "failing", OBSERVER.replace("SEEN.append(event)", "raise RuntimeError('out of order')"))
    observe(site, "watcher", OBSERVER)
    observe(site, "another_failing", OBSERVER.replace("SEEN.append(event)", "1 / 0"))
    manager = site.manager()
    manager.load(["noop"])
    for _ in range(3):
        manager.emit(EVENT)
    assert len(sys.modules["watcher"].SEEN) == 3
    assert [diagnostic.severity for diagnostic in site.reported] == [Severity.WARNING] * 2
    assert "out of order" in str(site.reported)


def test_without_a_report_it_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    from devstream.plugins.manager import PluginManager

    site.local(
        OBSERVER.replace("class Observer:\n    @", "@").replace("    def", "def").replace("(self, ", "(")
    )
    site.local((site.folder / "devstream_plugins.py").read_text().replace("SEEN.append(event)", "1 / 0"))
    manager = PluginManager(folder=site.folder, environ={}, search_path=[])
    manager.load([])
    manager.emit(EVENT)
    assert "failed as an observer: ZeroDivisionError" in caplog.text


def test_a_tool_may_be_an_observer_too(site: Site) -> None:
    site.tool(
        "deploy",
        "both",
        OBSERVER.replace("class Observer:", "class Tool:\n    @hookimpl\n    def create(self): ...\n"),
    )
    site.distribution(
        "d", "[devstream.tools]\nwatching = both:Tool\n[devstream.extensions]\nobserver.o = both:Tool\n"
    )
    manager = site.manager()
    manager.load(["watching"])
    manager.emit(EVENT)
    assert sys.modules["both"].SEEN == [EVENT]


# listing


def test_available(site: Site) -> None:
    site.module("shared")
    site.distribution(
        "my-dist",
        "[devstream.tools]\nnew = shared\nold = shared\nnoop = shared\n[devstream.extensions]\nbackend.s3 = x\n",
    )
    site.local(LOCAL)
    rows = [
        (item.kind, item.name, item.aliases, item.source, item.doc) for item in site.manager().available()
    ]
    assert ("tool", "new", ("old", "noop"), "installed", "All about my-dist.") in rows
    assert ("tool", "greeting", ("hello",), "local", "Greets people.") in rows
    assert ("backend", "s3", (), "installed", "All about my-dist.") in rows
    built_in = [row[1] for row in rows if row[3] == "built-in"]
    assert built_in == ["command", "file", "k8s", "kubernetes", "local", "env", "file"]
    assert "shared" not in sys.modules


def test_every_builtin_tool_loads_and_documents_its_options(site: Site) -> None:
    from devstream.plugins.describe import describe
    from devstream.plugins.names import BUILTIN_TOOLS

    for name, builtin in BUILTIN_TOOLS.items():
        plugin = site.manager().tool(name)
        assert plugin.schema is not None
        assert plugin.schema.doc == builtin.doc
        assert plugin.options is not None
        assert all(option.doc for option in describe(plugin.options))
