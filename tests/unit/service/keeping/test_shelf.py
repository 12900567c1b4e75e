"""What a hub will never take is kept with its reason, whatever happens to the file."""

import json

from kymograph.model.ranges import Ranges
from kymograph.service.keeping import shelf
from kymograph.service.keeping.shelf import RowShelf


def test_rows_are_kept_and_known_again(tmp_path):
    RowShelf(tmp_path, "hub").put("readings", 7, 3, 9, "422: no", b'{"seq": 3}\n')
    RowShelf(tmp_path, "hub").put("events", 7, 1, 1, "409: other", b"")
    again = RowShelf(tmp_path, "hub")
    assert again.ranges("readings", 7) == Ranges([(3, 9)]) and not again.ranges("readings", 8)
    [first, _] = map(json.loads, again.path.read_text().splitlines())
    assert first["reason"] == "422: no" and json.loads(first["body"]) == {"seq": 3}
    assert not RowShelf(tmp_path, "other").ranges("readings", 7)


def test_half_a_line_spoils_no_other(tmp_path):
    kept = RowShelf(tmp_path, "hub")
    kept.put("readings", 7, 1, 1, "422: no", b"")
    with kept.path.open("ab") as file:
        file.write(b'{"time_ns": 1, "str')
    kept.put("readings", 7, 5, 5, "422: no", b"")
    assert kept.ranges("readings", 7) == Ranges([(1, 1), (5, 5)])


def test_it_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "SHELF_BYTES_MAX", 1000)
    kept = RowShelf(tmp_path, "hub")
    for seq in range(20):
        kept.put("readings", 7, seq, seq, "422: no", b"x" * 400)
    assert kept.path.stat().st_size < 5000 and kept.ranges("readings", 7) == Ranges([(0, 19)])
