"""``devstream state``: the table of its commands."""

from __future__ import annotations

import click

from devstream.cli.lazy import Entry, LazyGroup
from devstream.cli.options import epilog, output_options

__all__ = ["state", "ENTRIES"]

ENTRIES = {
    "list": Entry("devstream.cli.state_look:list_", "List what is recorded."),
    "show": Entry("devstream.cli.state_look:show", "Show one entry in full."),
    "mv": Entry("devstream.cli.state_edit:mv", "Give an entry another address."),
    "rm": Entry("devstream.cli.state_edit:rm", "Forget entries; the things stay as they are."),
    "settle": Entry("devstream.cli.state_edit:settle", "Say what came of an interrupted operation."),
    "history": Entry("devstream.cli.state_look:history", "List what was recorded before, and by whom."),
    "restore": Entry("devstream.cli.state_edit:restore", "Go back to what was recorded before."),
    "accept-edit": Entry(
        "devstream.cli.state_edit:accept_edit", "Take over a state that was edited by hand."
    ),
    "unlock": Entry("devstream.cli.state_look:unlock", "Say who holds the state, and how that ends."),
    "pull": Entry("devstream.cli.state_look:pull", "Print the whole state as JSON."),
    "push": Entry("devstream.cli.state_edit:push", "Record a state that was pulled, or a rescue file."),
    "gc": Entry("devstream.cli.state_edit:gc", "Remove parts that nothing needs."),
    "import-dtm": Entry("devstream.cli.state_edit:import_dtm", "Take over the original DevStream's state."),
    "rbac": Entry("devstream.cli.state_rbac:rbac", "Print the rights that a state in Kubernetes needs."),
    "probe": Entry("devstream.cli.state_store:probe", "Try out what stores the state."),
    "rotate-key": Entry(
        "devstream.cli.state_store:rotate_key", "Encrypt everything anew with the first key."
    ),
    "migrate-backend": Entry("devstream.cli.state_store:migrate_backend", "Move the state to another place."),
}


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    epilog=epilog(
        "devstream state list                            what is recorded",
        "devstream state mv file.readme file.manual      a new name, without making it anew",
        "devstream state history                         what was recorded before, and by whom",
        "devstream state list --state ./devstream.state  without a configuration",
    ),
)
@output_options
def state() -> None:
    """Look at the recorded state, and mend it.

    These commands change what is recorded, never the things themselves.
    """
