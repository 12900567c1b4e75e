"""From sources to a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kymograph.model.errors import InvalidInput
from kymograph.plot.drawing import Drawing
from kymograph.plot.moments import Moment
from kymograph.plot.panels import arrange, empty
from kymograph.plot.source import Source
from kymograph.plot.track import Chosen, choose, reduce
from kymograph.plot.turn import Turn, hidden, last_turn, turns
from kymograph.service.archive.reduce import Watch
from kymograph.store.parts import Span


@dataclass(frozen=True)
class Wish:
    """What of the sources is to be drawn, and how."""

    title: str
    channels: Sequence[str] = ()
    span: Span = field(default_factory=Span)
    grouping: str = "auto"
    points_max: int = 2000


def make(sources: Sequence[Source], wish: Wish, moments: Sequence[Moment], watch: Watch) -> Drawing:
    """Read what is wanted and return it as a drawing.

    Raises:
        InvalidInput: there are no rows, or there is no such channel.
        Corrupt: a file is damaged.
    """
    arrange([], wish.grouping)  # before much is read
    chosen = choose(sources, wish.channels)
    around: list[Turn] = []
    straight: list[Chosen] = []
    for one in chosen:
        names = one.names
        if turns(one.sources[-1]) and not wish.channels:
            turn = last_turn(one.sources[-1], wish.span)
            around += [turn] if turn is not None else []
            if turn is not None:
                names = tuple(name for name in names if name not in hidden(one.sources[-1].quantities))
        straight.append(Chosen(one.sources, names))
    tracks = [reduce(one, wish.span, wish.points_max, watch) for one in straight]
    tracks = [track for track in tracks if track.rows]
    if not tracks:
        hint = "there may be some at other times" if wish.span.bounded else ""
        raise InvalidInput("there are no rows to draw", hint=hint)
    panels = arrange(tracks, wish.grouping)
    if not panels and not around:
        raise InvalidInput("there is not a single value to draw", hint="all are NaN")
    return Drawing(wish.title, tracks, panels, moments, around, empty(tracks))
