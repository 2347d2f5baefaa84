"""`Ground`: where an invocation stands: the folder its paths begin in, and where its state is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.record import Immutable

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.model.tool import Settings, StateLocation
    from devstream.planning.saved import SavedPlan

__all__ = ["Ground", "of_config", "of_saved_plan", "of_state_url"]


class Ground(Immutable, frozen=True):
    """Where an invocation stands.

    Attributes:
        folder: where relative paths begin.
        state: which backend has the state, and its options.
        state_base: where a relative path of the state begins.
        parallelism: what the config says of it; None where it says nothing.
    """

    folder: Path
    state: StateLocation
    state_base: Path
    parallelism: int | None = None


def of_config(settings: Settings) -> Ground:
    """Stand on a configuration."""
    return Ground(settings.folder, settings.state, settings.folder, settings.parallelism)


def of_saved_plan(saved: SavedPlan) -> Ground:
    """Stand where a plan was made."""
    return Ground(saved.folder, saved.state, saved.state_base, saved.parallelism)


def of_state_url(url: str, cwd: Path) -> Ground:
    """Stand on a state alone: in the folder of a local state's file, else in ``cwd``.

    Raises:
        UsageError: the URL does not name a state.
    """
    from devstream.engine.locations import folder_of, parse_state_url

    state = parse_state_url(url)
    return Ground(folder_of(state, cwd), state, cwd)
