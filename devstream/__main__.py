"""The program: ``devstream``, ``dtm`` and ``python -m devstream``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process and give its exit code."""
    if sys.argv[1:] == ["--version"]:  # answered before anything heavy is imported
        from devstream import __version__

        print(f"devstream {__version__}")  # noqa: T201 - nothing else is needed yet
        return 0
    from devstream.cli.main import run_this_process

    return run_this_process()


if __name__ == "__main__":
    sys.exit(main())
