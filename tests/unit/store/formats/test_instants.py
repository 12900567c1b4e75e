from __future__ import annotations

import numpy as np
import pytest

from kymograph.store.formats.instants import from_text, to_text, to_word, to_words, width

LIMITS = np.iinfo(np.int64)
TIMES = np.array([LIMITS.min, -1, 0, 1, 999_999_999, 1_700_000_000_123_456_789, LIMITS.max], np.int64)


def test_times_are_rfc_3339_in_utc() -> None:
    assert to_words(TIMES) == [
        "1677-09-21T00:12:43.145224192Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00.000000000Z",
        "1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.999999999Z", "2023-11-14T22:13:20.123456789Z",
        "2262-04-11T23:47:16.854775807Z",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "digits,text",
    [(0, "2023-11-14T22:13:20Z"), (3, "2023-11-14T22:13:20.999Z"), (6, "2023-11-14T22:13:20.999999Z")],
)
def test_fewer_digits_cut_off_and_do_not_round(digits: int, text: str) -> None:
    assert to_word(1_700_000_000_999_999_999, digits) == text
    assert width(digits) == len(text)


def test_text_reads_back_to_the_nanosecond() -> None:
    random_times = np.frombuffer(np.random.default_rng(0).bytes(8 * 1000), "<i8")
    for times in (TIMES, random_times, np.sort(random_times), np.empty(0, np.int64)):
        assert np.array_equal(from_text(to_text(times)), times)


@pytest.mark.parametrize(
    "word",
    ["2023-11-14T22:13:20.123456789+", "2023-11-14T22:13:20,123456789Z", "2023-11-14T22:13:20.12345678 Z",
     "2023-13-14T22:13:20.123456789Z", "2023-11-14T22:13:20.12345678aZ"],
)  # fmt: skip
def test_what_is_no_time_is_refused(word: str) -> None:
    letters = np.frombuffer(word.encode(), np.uint8).reshape(1, -1)
    with pytest.raises(ValueError):
        from_text(letters)
