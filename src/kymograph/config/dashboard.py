"""`[dashboard]`: what the dashboard cannot learn from the instruments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kymograph.config.base import Table

Place = Literal[
    "oxygen bottle", "oxygen tank", "oxygen line", "gas bottle", "fuel tank", "fuel line", "nitrogen bottle",
    "chamber",
]  # fmt: skip
"""Where a pressure may be in the dashboard's drawing of a stand."""


def _apart(places: dict[str, Place]) -> dict[str, Place]:
    taken = [place for place in places.values() if list(places.values()).count(place) > 1]
    if taken:
        raise ValueError(f"two channels are at the place {taken[0]}")
    return places


class StandTable(Table):
    """`[dashboard.stand]`: how the stand is drawn."""

    places: Annotated[dict[str, Place], AfterValidator(_apart)] = Field(default_factory=dict)
    """Channel → where in the drawing it is measured."""


class DashboardTable(Table):
    """`[dashboard]`: what the dashboard cannot learn from the instruments."""

    stand: StandTable = StandTable()
