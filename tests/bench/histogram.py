"""How latencies are spread, as text: one line a bin, each up to twice the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 40
"""Characters of the longest bar."""


def histogram(title: str, values_ms: Sequence[float], bound_ms: float) -> str:
    """Return a histogram with bins that double from `bound_ms`/64 on; the bound is marked."""
    edges = [bound_ms / 2**power for power in range(6, -3, -1)]
    counts = [0] * (len(edges) + 1)
    for value in values_ms:
        counts[sum(value > edge for edge in edges)] += 1
    last = max((i for i, count in enumerate(counts) if count), default=0)
    lines = [f"{title}, {len(values_ms)} times"]
    for i, count in enumerate(counts[: max(last + 1, edges.index(bound_ms) + 1)]):
        upto = f"<= {edges[i]:6.3g} ms" if i < len(edges) else f">  {edges[-1]:6.3g} ms"
        bar = "#" * round(WIDTH * count / max(counts))
        goal = "  <- bound" if i < len(edges) and edges[i] == bound_ms else ""
        lines.append(f"  {upto} {count:5} {bar}{goal}")
    return "\n".join(lines)
