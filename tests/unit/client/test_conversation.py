"""What comes out of a live conversation, whatever the station says and whenever the connection breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.client import Batch, Cursor, Gap, errors
from kymograph.client.conversation import Conversation, Wish

CHANNEL = {"name": "a", "dtype": "int32", "unit": "m"}


def schema(mode: str = "raw") -> dict[str, Any]:
    return {
        "type": "schema",
        "id": "rows",
        "stream": "s",
        "mode": mode,
        "rate_hz": 1.0,
        "channels": [CHANNEL],
    }


def column(values: Any, dtype: str) -> dict[str, Any]:
    array = np.asarray(list(values)).astype(dtype)
    return {"dtype": array.dtype.str, "data": array.tobytes()}


def data(epoch: int, first: int, after: int) -> dict[str, Any]:
    columns = {"time_ns": column(range(first, after), "<i8"), "a": column(range(first, after), "<i4")}
    return {
        "type": "data", "id": "rows", "dropped": 0, "stream": "s", "epoch": epoch, "seq_from": first,
        "seq_to": after, "columns": columns,
    }  # fmt: skip


def gap(epoch: int, first: int, after: int | None, reason: str = "slow client") -> dict[str, Any]:
    return {
        "type": "gap", "stream": "s", "epoch": epoch, "from_seq": first, "to_seq": after, "reason": reason
    }  # fmt: skip


def conversation(**wish: Any) -> Conversation:
    talk = Conversation(Wish(("s",), **wish), {}, None)
    assert hear(talk, schema()) == []
    return talk


def hear(talk: Conversation, *messages: dict[str, Any]) -> list[Any]:
    """Return what comes of messages: batches as (epoch, seq, seq_to), gaps as they are."""
    found: list[Any] = []
    for message in messages:
        for item in talk.take(message):
            found.append((item.epoch, item.seq, item.seq_to) if isinstance(item, Batch) else item)
    return found


def test_what_is_said_first() -> None:
    talk = Conversation(Wish(("s", "t"), ("a",), "minmax", 5.0), {"s": (7, 8)}, "kym_x")
    hello, subscribe = talk.opening()
    assert hello == {"type": "hello", "token": "kym_x"}
    assert subscribe == {
        "type": "subscribe", "id": "rows", "streams": ["s", "t"], "mode": "minmax", "encoding": "msgpack",
        "channels": ["a"], "max_rate_hz": 5.0, "since": {"s": [7, 8]},
    }  # fmt: skip


def test_a_batch_has_its_place_its_columns_and_their_units() -> None:
    [batch] = conversation().take(data(7, 10, 13))
    assert isinstance(batch, Batch)
    assert (batch.stream, batch.mode, batch.epoch, batch.seq, batch.rows, len(batch)) == (
        "s", "raw", 7, 10, 3, 3,
    )  # fmt: skip
    assert batch.cursor == Cursor(7, 13) and batch.units == {"a": "m"}
    assert batch["a"].dtype == np.int32 and batch["a"].tolist() == [10, 11, 12]
    assert batch.time_ns.dtype == np.int64 and batch.time_ns.tolist() == [10, 11, 12]
    with pytest.raises(errors.InvalidInput):
        _ = batch["b"]


def test_peaks_are_two_columns() -> None:
    talk = conversation(mode="minmax")
    message = data(7, 0, 100)
    message["columns"] = {
        "time_ns": column([99], "<i8"), "a": {"min": column([0], "<i4"), "max": column([99], "<i4")},
    }  # fmt: skip
    [batch] = talk.take(message)
    assert isinstance(batch, Batch) and (batch.rows, len(batch)) == (100, 1)
    assert batch.units == {"a:min": "m", "a:max": "m"} and batch["a:max"].tolist() == [99]


def test_after_a_break_it_goes_on_after_the_last_rows() -> None:
    talk = conversation()
    hear(talk, data(7, 0, 5))
    assert talk.opening()[1]["since"] == {"s": [7, 5]}


def test_rows_that_come_twice_are_seen_once() -> None:
    talk = conversation()
    assert hear(talk, data(7, 0, 5), data(7, 0, 5), data(7, 3, 8)) == [(7, 0, 5), (7, 5, 8)]
    [batch] = talk.take(data(7, 6, 10))
    assert isinstance(batch, Batch) and batch["a"].tolist() == [8, 9] and batch.time_ns.tolist() == [8, 9]


def test_a_gap_is_told_once_and_gone_past() -> None:
    talk = conversation()
    told = Gap("s", 7, 5, 9, "slow client")
    assert hear(talk, data(7, 0, 5), gap(7, 5, 9)) == [(7, 0, 5), told]
    assert talk.cursors == {"s": Cursor(7, 9)}
    assert hear(talk, gap(7, 5, 9), data(7, 9, 10)) == [(7, 9, 10)]
    assert told.rows == 4 and told.cursor == Cursor(7, 5)


def test_what_nobody_told_is_told_here() -> None:
    talk = conversation()
    hear(talk, data(7, 0, 5))
    assert hear(talk, data(7, 8, 10)) == [Gap("s", 7, 5, 8, "not told"), (7, 8, 10)]
    assert hear(talk, gap(7, 12, 14), data(7, 16, 17)) == [
        Gap("s", 7, 12, 14, "slow client"),
        Gap("s", 7, 10, 12, "not told"),
        Gap("s", 7, 14, 16, "not told"),
        (7, 16, 17),
    ]
    assert hear(talk, data(8, 2, 3)) == [Gap("s", 8, 0, 2, "not told"), (8, 2, 3)]


def test_a_gap_without_an_end_is_told_once() -> None:
    talk = conversation()
    assert hear(talk, data(7, 0, 5), gap(7, 5, None, "not in ring"), gap(7, 5, None, "not in ring")) == [
        (7, 0, 5),
        Gap("s", 7, 5, None, "not in ring"),
    ]
    assert Gap("s", 7, 5, None, "x").rows is None
    assert hear(talk, data(9, 0, 1)) == [(9, 0, 1)]


def test_an_epoch_may_bear_an_earlier_name() -> None:
    """After a restart without a battery a computer may think that it is 1970."""
    talk = conversation()
    assert hear(talk, data(7, 0, 5), data(3, 0, 2), data(3, 2, 4)) == [(7, 0, 5), (3, 0, 2), (3, 2, 4)]
    assert talk.cursors == {"s": Cursor(3, 4)}
    assert hear(talk, gap(7, 5, 6)) == [Gap("s", 7, 5, 6, "slow client")]
    assert talk.cursors == {"s": Cursor(3, 4)}, "a gap told late does not lead back"
    assert hear(talk, data(7, 0, 5)) == []


def test_leaving_at_a_gap_nobody_told_loses_no_rows() -> None:
    talk = conversation()
    hear(talk, data(7, 0, 5))
    first = next(talk.take(data(7, 8, 10)))
    assert isinstance(first, Gap) and talk.cursors == {"s": Cursor(7, 8)}
    assert hear(talk, data(7, 8, 10)) == [(7, 8, 10)]


def test_the_newest_row_is_not_shown_again_after_a_break() -> None:
    talk = conversation(mode="latest")
    assert hear(talk, data(7, 4, 5), data(7, 4, 5), data(7, 9, 10)) == [(7, 4, 5), (7, 9, 10)]
    assert "since" not in talk.opening()[1]


def test_a_refusal_is_the_error_it_tells_of() -> None:
    message = {
        "type": "error",
        "code": "not_found",
        "message": "no",
        "hint": "look",
        "facts": {"streams": []},
    }
    with pytest.raises(errors.NotFound) as refused:
        hear(conversation(), message)
    assert refused.value.hint == "look" and refused.value.facts == {"streams": []}


def test_what_it_does_not_know_is_left_aside() -> None:
    talk = conversation()
    assert (
        hear(talk, {"type": "welcome"}, {"type": "status", "id": "rows"}, {**data(1, 0, 1), "stream": "x"})
        == []
    )


@pytest.mark.parametrize("wrong", [{"mode": "best"}, {"since": {"x": (1, 2)}}])
def test_what_cannot_be_asked_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput):
        Conversation(Wish(("s",), mode=wrong.get("mode", "raw")), wrong.get("since", {}), None)


@given(st.data())
def test_whatever_is_left_out_every_row_comes_once_or_is_told(draw: st.DataObject) -> None:
    """A station sends rows, leaves some out with or without telling, and repeats some after a break."""
    talk = conversation()
    seen: list[int] = []
    at = told = 0
    for _ in range(draw.draw(st.integers(1, 30))):
        step = draw.draw(st.sampled_from(["rows", "hole", "told", "again"]))
        size = draw.draw(st.integers(1, 5))
        if step == "again":
            message = data(7, max(at - size, told), at + 1)
            at += 1
        elif step == "rows":
            message = data(7, at, at + size)
            at += size
        else:
            message = gap(7, at, at + size) if step == "told" else {"type": "status"}
            at += size
            told = at
        for item in talk.take(message):
            end = item.seq_to if isinstance(item, Batch) else item.to_seq
            assert end is not None
            seen += range(item.seq if isinstance(item, Batch) else item.from_seq, end)
    for item in talk.take(data(7, at, at + 1)):
        end = item.seq_to if isinstance(item, Batch) else item.to_seq
        assert end is not None
        seen += range(item.seq if isinstance(item, Batch) else item.from_seq, end)
    assert len(seen) == len(set(seen)), "none twice"
    assert set(range(min(seen), at + 1)) == set(seen), "none left out"
