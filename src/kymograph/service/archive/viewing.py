"""A view of a stretch of a recording: from previews where many rows make a point, from rows elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Final

import numpy as np

from kymograph.model.channel import Stream
from kymograph.service.archive.reduce import Reducer, View, Watch
from kymograph.store.parts import Gate, Part, SegmentPart, Span, trim
from kymograph.store.preview import ALL, BIN_ROWS, SOME, Preview
from kymograph.store.reader import RecordingReader

_BINS_FOR_POINT: Final = 0.5
"""Bins a point must have at least for previews to be fine enough; below, the rows themselves are read."""
_TRIES_MAX: Final = 10


def view_recording(
    reader: RecordingReader,
    stream: str,
    channels: Sequence[str],
    span: Span,
    points_max: int,
    watch: Watch | None = None,
) -> View:
    """Return a view of some channels of a stream between two times, in at most `points_max` points.

    `watch` is told how many more rows have been dealt with, again and again.

    Raises:
        NotFound, InvalidInput: no such stream or channel.
        Corrupt: a sealed file is damaged.
    """
    wanted = reader.stream(stream, channels)
    for _ in range(_TRIES_MAX):
        reducer = Reducer(stream, wanted.channel_names, points_max, watch)
        try:
            with reader.parts(wanted) as parts:
                _fill(reducer, parts, wanted.channel_names, span, points_max)
            return reducer.view()
        except FileNotFoundError:
            continue  # merged into another meanwhile: what there is now is looked for again
    return _view_of_what_is_left(reader, wanted, span, points_max)


def _view_of_what_is_left(reader: RecordingReader, wanted: Stream, span: Span, points_max: int) -> View:
    """View a recording with sealed files gone: better a hole, which the ledger names, than no view."""
    reducer = Reducer(wanted.name, wanted.channel_names, points_max)
    with reader.parts(wanted) as parts:
        there = [part for part in parts if not isinstance(part, SegmentPart) or part.path.exists()]
        _fill(reducer, there, wanted.channel_names, span, points_max)
    return reducer.view()


def _fill(
    reducer: Reducer, parts: Sequence[Part], channels: Sequence[str], span: Span, points_max: int
) -> None:
    rows = sum(_rows_about(part, span) for part in parts if isinstance(part, SegmentPart))
    coarse = rows / BIN_ROWS >= _BINS_FOR_POINT * points_max
    for part in parts:
        if coarse and isinstance(part, SegmentPart) and part.meets(span):
            preview = part.preview()
            if preview is not None and _add_bins(reducer, part, preview, channels, span):
                continue
        for block in part.blocks(span, Gate()):
            reducer.add_rows(block.time_ns, block.columns())


def _rows_about(part: SegmentPart, span: Span) -> int:
    """Return about how many rows of a segment are wanted, taking them as evenly spread."""
    segment = part.segment
    if not part.meets(span):
        return 0
    length = segment.last_ns - segment.first_ns
    if not part.ordered or length <= 0:
        return segment.rows
    start = segment.first_ns if span.start_ns is None else max(span.start_ns, segment.first_ns)
    stop = segment.last_ns if span.stop_ns is None else min(span.stop_ns, segment.last_ns)
    return int(segment.rows * (stop - start) / length)


def _add_bins(
    reducer: Reducer, part: SegmentPart, preview: Preview, channels: Sequence[str], span: Span
) -> bool:
    """Add bins where they are wholly between two times and rows elsewhere; say whether it could be done."""
    bins = preview.bins(channels)
    if bins is None:
        return False
    states = preview.states(span.start_ns, span.stop_ns, part.breaks)
    edges = np.flatnonzero(np.diff(states, prepend=-1, append=-1)).tolist()
    for first, last in pairwise(edges):
        if states[first] == ALL:
            lows, highs = ([column[first:last] for column in side] for side in (bins.lows, bins.highs))
            reducer.add_bins(bins.time_ns[first:last], bins.rows[first:last], lows, highs)
        elif states[first] == SOME:
            blocks = part.between(first * BIN_ROWS, min(last * BIN_ROWS, preview.rows))
            for piece in chain.from_iterable(trim(block, span) for block in blocks):
                reducer.add_rows(piece.time_ns, piece.columns())
    return True
