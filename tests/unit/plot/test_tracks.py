"""What is drawn of many rows: peaks and gaps kept, nothing that was not measured; and panels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.errors import InvalidInput
from kymograph.model.event import Event
from kymograph.plot.drawing import Drawing, tick_words
from kymograph.plot.files import FileStream
from kymograph.plot.gaps import gaps
from kymograph.plot.making import Wish, make
from kymograph.plot.moments import Moment, moments
from kymograph.plot.panels import arrange, sign
from kymograph.plot.recorded import recorded
from kymograph.plot.source import Quantity
from kymograph.plot.track import Line, Track, choose, reduce
from kymograph.store.parts import Span
from tests.unit.plot.made import GAP_AT, GAP_NS, LIDAR, ROWS, STEP_NS, T0, file, recording, rows, tell


def track_of(source, points, names=("P1",), span=None):
    [chosen] = choose([source], names)
    return reduce(chosen, span or Span(), points, lambda rows: None)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plot")
    return {"file": FileStream(file(folder / "a.parquet")), "recording": recorded(recording(folder))[0]}


@pytest.mark.parametrize("kind", ["file", "recording"])
@pytest.mark.parametrize("points", [100, 333, 5000])
def test_a_line_ends_at_its_last_row_and_goes_on_at_the_next(sources, kind, points):
    track = track_of(sources[kind], points)
    [line] = track.lines
    assert track.rows == ROWS and track.points <= points and len(track.time_ns) <= points + 4
    assert (np.diff(track.time_ns) >= 0).all()
    at = int(np.flatnonzero(np.isnan(line.high))[0])
    times, [pressure, *_] = rows()
    assert track.time_ns[at - 1] == times[GAP_AT - 1]
    assert track.time_ns[at + 1] <= times[GAP_AT] + STEP_NS * ROWS // points
    assert track.time_ns[at + 1] >= times[GAP_AT]
    assert np.isnan(line.high).sum() == 1
    assert line.low[:at].min() >= 0, "values from behind the gap are before it"
    after = line.high[at + 1 :]
    assert after.max() == 999 and np.sort(after)[-2] <= pressure[GAP_AT:][pressure[GAP_AT:] < 999].max()


def test_few_rows_are_all_drawn(sources):
    track = track_of(sources["file"], 5000, span=Span(T0, T0 + 50 * STEP_NS))
    assert (track.rows, track.points, track.reduced) == (50, 50, False)
    assert (track.lines[0].low == track.lines[0].high).all()


def test_files_that_follow_one_another_are_one_line(tmp_path):
    first = file(tmp_path / "log_20260101.parquet")
    second = tmp_path / "log_20260102.csv"
    lines = first.with_suffix(".csv")
    file(lines)
    moved = lines.read_text().replace("2026-02-02T", "2026-02-03T")
    second.write_text(moved)
    found = choose([FileStream(second), FileStream(lines)], ["P1"])
    assert len(found) == 1
    track = reduce(found[0], Span(), 500, lambda rows: None)
    assert track.rows == 2 * ROWS and (np.diff(track.time_ns) >= 0).all()
    assert track.time_ns[-1] - track.time_ns[0] > 86_000e9


@given(st.integers(1, 10**9), st.integers(30, 300), st.integers(0, 299), st.floats(4, 1e6))
def test_one_long_interval_is_a_gap_and_even_ones_are_none(step, count, at, factor):
    times = np.arange(count) * step
    assert not len(gaps(times, 0.0)) and not len(gaps(times, 1e9 / step))
    at = 1 + at % (count - 1)
    times[at:] += round(step * factor)
    assert gaps(times, 1e9 / step).tolist() == [at]


def test_rows_that_come_irregularly_have_no_gaps_everywhere():
    times = np.cumsum(np.random.default_rng(3).exponential(1e9, 2000)).astype(np.int64)
    assert len(gaps(times, 0.0)) <= 3


def test_channels_by_name_pattern_and_stream(sources):
    [chosen] = choose([sources["file"]], ["T*", "stand.valve"])
    assert chosen.names == ("T1", "valve")
    with pytest.raises(InvalidInput, match="no channel p1") as caught:
        choose([sources["file"]], ["p1"])
    assert caught.value.hint == "did you mean P1?"


def line(name, unit="", high=1.0, labels=()):
    values = np.array([high / 2, high])
    return Line(Quantity(name, unit, labels), values, values)


def grouped(lines, grouping="auto"):
    track = Track("stand", 2, 2, np.array([0, 1]), tuple(lines))
    return [(p.title, p.unit, [one.quantity.name for one in p.lines]) for p in arrange([track], grouping)]


STAND = [
    line("thrust", "N", 2500), line("P1", "bar", 30), line("P2", "bar", 4), line("T1", "Cel", 80),
    line("Tbogaz1", "Cel", 1500), line("isp", "s", 200), line("ox", "kg/s", 1), line("fuel", "kg/s", 0.5),
    line("dead", "V", np.nan), line("valve", "", 1, ("shut", "open")),
]  # fmt: skip


def test_pressures_with_pressures_and_large_values_apart():
    assert grouped(STAND) == [
        ("Pressure", "bar", ["P1", "P2"]), ("T1", "°C", ["T1"]), ("Tbogaz1", "°C", ["Tbogaz1"]),
        ("Thrust", "N", ["thrust"]), ("Isp", "s", ["isp"]), ("Mass flow", "kg/s", ["ox", "fuel"]),
        ("Valve", "", ["valve"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("grouping", "count"), [("unit", 6), ("name", 8), ("channel", 9), ("stream", 2)])
def test_other_groupings(grouping, count):
    assert len(grouped(STAND, grouping)) == count


def test_panels_of_one_name_are_told_apart():
    many = [
        line(f"{family}{i}", "Cel", high) for family, high in (("T", 80), ("Throat", 1500)) for i in range(2)
    ]
    assert [title for title, *_ in grouped(many)] == ["Temperature · T", "Temperature · Throat"]


def test_units_as_people_know_them():
    assert [sign(unit) for unit in ("Cel", "deg", "N.s", "bar", "1")] == ["°C", "°", "N·s", "bar", ""]


def test_events_have_their_first_time_and_their_last_word(tmp_path):
    folder = recording(tmp_path)
    valves = {"instrument": "stand", "command": "set_valves", "arguments": {"valves": [0, 1, 1]}}
    tell(
        folder,
        Event("a", T0 + 5, "user/anna", "mark", {"text": "tank\nopen"}),
        Event("b", T0 + 7, "instrument/stand", "command", {**valves, "state": "sent"}),
        Event("b", T0 + 9, "instrument/stand", "command", {**valves, "state": "timed_out"}, 1),
        Event("c", T0 + 8, "recorder", "gap", {"rows": 3}),
        Event("d", T0 + 6, "x", "alarm", {"text": "y" * 200}),
        Event("e", T0 - 6, "x", "mark", {"text": "early"}),
    )
    found = moments(folder, Span(T0, None))
    assert found == [
        Moment(T0 + 5, "mark", "tank open"), Moment(T0 + 6, "alarm", "y" * 59 + "…"),
        Moment(T0 + 7, "command", "stand set_valves 011 (timed out)"),
    ]  # fmt: skip


def test_a_run_is_told_where_it_turns(tmp_path):
    folder = recording(tmp_path)

    def step(at, state, *groups, reason="", run="run/1"):
        path = [{"name": name, "round": 1, "times": 1} for name in groups]
        body = {"sequence": "firing", "state": state, "path": path, "reason": reason}
        return Event(f"{run}-{at}", T0 + at, run, "state", body)

    tell(
        folder,
        step(1, "running"), step(2, "running", "fill"), step(3, "running", "fill", "inner"),
        step(4, "paused", "fill"), step(5, "running", "fill"), step(6, "running", "burn"),
        step(7, "ending"), step(8, "aborted", reason="enough seen"), step(9, "running", run="run/2"),
        Event("s", T0 + 10, "instrument/stand", "state", {"state": "acquiring"}),
    )  # fmt: skip
    found = moments(folder, Span(T0, None))
    assert {moment.kind for moment in found} == {"run"}
    assert [(moment.time_ns - T0, moment.text) for moment in found] == [
        (1, "firing begins"), (2, "firing: fill"), (4, "firing is paused"), (5, "firing goes on"),
        (6, "firing: burn"), (8, "firing is aborted: enough seen"), (9, "firing begins"),
    ]  # fmt: skip


def test_a_lidar_is_drawn_as_its_last_whole_turn(tmp_path):
    count = 1800
    angle = (np.arange(count) * 0.9 % 360).astype("f4")
    distance = (1 + np.arange(count) // 400).astype("f4")
    distance[1300] = 0
    content = (T0 + np.arange(count) * STEP_NS, [distance, angle, (np.arange(count) // 400).astype("u4")])
    [source] = recorded(recording(tmp_path, "scan", LIDAR, content))
    drawing = make([source], Wish("scan"), [], lambda rows: None)
    [turn] = drawing.turns
    assert len(turn.distance) == 399 and set(turn.distance.tolist()) == {4.0}
    assert turn.unit == "m" and turn.time_ns == T0 + 1200 * STEP_NS
    assert [panel.title for panel in drawing.panels] == ["Distance"]


def test_there_must_be_something_to_draw(sources):
    with pytest.raises(InvalidInput, match="no rows"):
        make([sources["file"]], Wish("a", span=Span(0, 1)), [], lambda rows: None)
    with pytest.raises(InvalidInput, match="not a single value"):
        make([sources["file"]], Wish("a", ["T1"]), [], lambda rows: None)


def test_what_the_title_says(sources):
    drawing = make([sources["recording"]], Wish("a", points_max=400), [], lambda rows: None)
    assert isinstance(drawing, Drawing) and drawing.note() == "Without values: T1"
    assert drawing.subtitle().startswith("2026-02-02 02:40:00.000 – 02:40:4")
    assert drawing.subtitle().endswith("40\u202f000 rows, each point the lowest and highest of 100")
    assert GAP_NS == 5e9


def test_ticks_are_as_fine_as_they_need_to_be():
    day = 86_400_000_000_000
    assert tick_words(np.array([T0, T0 + day])) == ["2026-02-02", "2026-02-03"]
    assert tick_words(np.array([T0, T0 + day // 2, T0 + day])) == [
        "02:40\n2026-02-02", "14:40", "02:40\n2026-02-03",
    ]  # fmt: skip
    assert tick_words(np.array([T0, T0 + 500_000_000]))[1] == "02:40:00.500"
    assert tick_words(np.array([T0, T0 + 5_000]))[1] == "02:40:00.000005"
