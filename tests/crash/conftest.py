"""What the sweeps and races share: the places where a state may lie.

A backend joins all of them with one entry in `PLACES`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["PLACES", "WITH_WORLDS", "Place"]


class Place(NamedTuple):
    """Where the states of a sweep lie.

    Attributes:
        config: gives ``config.state`` for a name; another name is another state.
        plugins: the text of a ``devstream_plugins.py``, where the backend needs one.
        is_in_folder: a copy of the project's folder has a copy of the state in it.
        environ: what a run needs to reach it, beside PATH and HOME.
        over_http: the things of whole runs are behind HTTP.
    """

    config: Callable[[str], Mapping[str, Any]]
    plugins: str = ""
    is_in_folder: bool = True
    environ: Mapping[str, str] = {}
    over_http: bool = False

    def prepare(self, folder: Path, name: str, **config: Any) -> None:
        """Write a configuration of the state with this name, and what it needs, into a folder."""
        config = {"config": {"state": self.config(name)}, **config}
        (folder / "devstream.yaml").write_text(json.dumps(config), "utf-8")
        if self.plugins:
            (folder / "devstream_plugins.py").write_text(self.plugins, "utf-8")


def local(_: pytest.FixtureRequest) -> Place:
    return Place(lambda _: {"backend": "local"})


def shared_folder(_: pytest.FixtureRequest) -> Place:
    return Place(
        lambda _: {"backend": "shared-folder"},
        plugins="from devstream.testing.shared_folder import devstream_register_backends\n",
    )


@pytest.fixture(scope="module")
def kubernetes_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig of a stand-in for a cluster, which has the namespace ``team``."""
    from devstream.testing.kubernetes import KubernetesStandIn

    with KubernetesStandIn() as cluster:
        cluster.add_namespace("team")
        yield cluster.kubeconfig(tmp_path_factory.mktemp("cluster") / "kubeconfig")


def kubernetes(request: pytest.FixtureRequest) -> Place:
    kubeconfig = str(request.getfixturevalue("kubernetes_config"))
    options = {"namespace": "team", "kubeconfig": kubeconfig}
    return Place(
        lambda name: {"backend": "k8s", "options": {**options, "configmap": name}}, is_in_folder=False
    )


def world_over_http(request: pytest.FixtureRequest) -> Place:
    return shared_folder(request)._replace(over_http=True)


PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {
    "local": local,
    "shared folder": shared_folder,
    "kubernetes": kubernetes,
}
"""By name, what makes a place; it may ask for fixtures, as that of a server."""

WITH_WORLDS = {**PLACES, "shared folder, world over HTTP": world_over_http}
"""For whole runs: the same, and a world of another kind."""


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param](request)
