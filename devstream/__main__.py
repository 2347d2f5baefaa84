"""The program: ``devstream``, ``dtm`` and ``python -m devstream``."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would double what --version takes
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]

GARBAGE_AFTER = 100_000
"""Objects between two looks for cycles: what is made while starting stays, and looking for garbage in it takes longer
than making it."""


def main() -> int:
    """Run the command line of this process and leave it with the exit code."""
    if sys.argv[1:] == ["--version"]:  # answered before anything heavy is imported
        from devstream import __version__

        print(f"devstream {__version__}")  # noqa: T201 - nothing else is needed yet
        return 0
    import gc

    gc.set_threshold(GARBAGE_AFTER)
    from devstream.cli.main import run_this_process

    return _leave(run_this_process())


def _leave(code: int) -> NoReturn:
    """Leave at once: everything is recorded, and neither a hung hook nor taking Python apart is waited for."""
    import os

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads any more
            continue
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
