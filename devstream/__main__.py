"""The program: ``devstream``, ``dtm`` and ``python -m devstream``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process and give its exit code."""
    if sys.argv[1:] == ["--version"]:  # answered before anything heavy is imported
        from devstream import __version__

        sys.stdout.write(f"devstream {__version__}\n")
        return 0
    from devstream.cli.main import run_this_process

    return run_this_process()


if __name__ == "__main__":
    sys.exit(main())
