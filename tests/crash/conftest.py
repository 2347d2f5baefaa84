"""What the sweeps and races share: the places where a state may lie.

A backend joins all of them with one entry in `REMOTE`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from devstream.testing.s3 import ACCESS_KEY, SECRET_KEY, bucket_at, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["ALL_PLACES", "PLACES", "REMOTE", "Place", "open_place"]

SHARED = "from devstream.testing.shared_folder import devstream_register_backends\n"


class Place(NamedTuple):
    """Where the states of a sweep lie.

    Attributes:
        config: gives ``config.state`` for a name; another name is another state.
        plugins: the text of a ``devstream_plugins.py``, where the backend needs one.
        is_in_folder: a copy of the project's folder has a copy of the state in it.
        environ: what a run needs to reach it, beside PATH and HOME.
        over_http: the things of whole runs are behind HTTP.
        is_quick: many runs can be made there in a short time.
    """

    config: Callable[[str], Mapping[str, Any]]
    plugins: str = ""
    is_in_folder: bool = True
    environ: Mapping[str, str] = {}
    over_http: bool = False
    is_quick: bool = True

    def prepare(self, folder: Path, name: str, **config: Any) -> None:
        """Write a configuration of the state with this name, and what it needs, into a folder."""
        config = {"config": {"state": self.config(name)}, **config}
        (folder / "devstream.yaml").write_text(json.dumps(config), "utf-8")
        if self.plugins:
            (folder / "devstream_plugins.py").write_text(self.plugins, "utf-8")


@contextmanager
def local(_: Path) -> Iterator[Place]:
    yield Place(lambda _: {"backend": "local"})


@contextmanager
def shared_folder(_: Path) -> Iterator[Place]:
    yield Place(lambda _: {"backend": "shared-folder"}, SHARED)


@contextmanager
def world_over_http(_: Path) -> Iterator[Place]:
    yield Place(lambda _: {"backend": "shared-folder"}, SHARED, over_http=True, is_quick=False)


@contextmanager
def encrypted(folder: Path) -> Iterator[Place]:
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(bytes(range(32)))
    keys = [{"name": "main", "keyFile": str(key)}]
    yield Place(
        lambda _: {"backend": "shared-folder", "encryption": {"enforced": True, "keys": keys}},
        SHARED,
        is_quick=False,
    )


@contextmanager
def s3(_: Path) -> Iterator[Place]:
    environ = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with pytest.MonkeyPatch.context() as patch, moto_server() as server, bucket_at(server) as bucket:
        for name, value in environ.items():
            patch.setenv(name, value)

        def config(name: str) -> dict[str, Any]:
            options = {**bucket.options(f"{name}/devstream.state"), "endpoint": server}
            return {"backend": "s3", "options": options}

        yield Place(config, is_in_folder=False, environ=environ, is_quick=False)


@contextmanager
def kubernetes(folder: Path) -> Iterator[Place]:
    kubeconfig = folder / "kubeconfig"
    argv = [sys.executable, "-m", "devstream.testing.kubernetes", str(kubeconfig)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline()

        def config(name: str) -> dict[str, Any]:
            options = {"namespace": "default", "configmap": f"state-{name}", "kubeconfig": str(kubeconfig)}
            return {"backend": "k8s", "options": options}

        yield Place(config, is_in_folder=False, is_quick=False)
        process.stdin.close()


PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "local": local,
    "shared folder": shared_folder,
}
"""By name, what makes a place in a folder: where all tests are made."""

REMOTE: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "encrypted": encrypted,
    "s3": s3,
    "kubernetes": kubernetes,
}
"""Those that take their time: mostly for `make test-full`."""

WORLDS: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {"world over HTTP": world_over_http}
"""For whole runs: a world of another kind."""

ALL_PLACES = {**PLACES, **WORLDS, **REMOTE}


@contextmanager
def open_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give the place that a fixture's parameter names."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    with ALL_PLACES[request.param](factory.mktemp("place")) as place:
        yield place


@pytest.fixture(
    scope="module", params=[*PLACES, *(pytest.param(name, marks=pytest.mark.slow) for name in REMOTE)]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with open_place(request) as made:
        yield made
