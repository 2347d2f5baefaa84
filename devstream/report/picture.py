"""`Picture`: a few lines at the bottom of a terminal that are drawn again and again in the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.report.terminal import display_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devstream.report.streams import Output

__all__ = ["Picture"]

_ERASE_BELOW = "\x1b[J"


class Picture:
    """Draws with the few escape sequences that every terminal knows; the cursor stays at the end of the last line.

    Args:
        out: a terminal.
    """

    def __init__(self, out: Output) -> None:
        self._out = out
        self._widths: list[int] = []

    @property
    def is_shown(self) -> bool:
        """True while there is something to erase."""
        return bool(self._widths)

    def show(self, lines: Sequence[str], above: Sequence[str] = ()) -> None:
        """Draw lines in the place of those before.

        Args:
            lines: narrower than the terminal.
            above: written first, and never erased.
        """
        stays = "".join(f"{line}\n" for line in above)
        text = self._back() + stays + "\n".join(lines)
        self._widths = [display_width(line) for line in lines]
        self._out.text(text)

    def erase(self) -> None:
        """Take the picture away."""
        if self._widths:
            text = self._back()
            self._widths = []
            self._out.text(text)

    def _back(self) -> str:
        """Go to where the picture begins and erase it; a terminal that became narrower has broken its lines."""
        if not self._widths:
            return ""
        columns, height = self._out.size
        rows = sum(max(-(-width // columns), 1) for width in self._widths)
        up = min(rows, height) - 1
        return "\r" + (f"\x1b[{up}A" if up else "") + _ERASE_BELOW
