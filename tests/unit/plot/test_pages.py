"""The page that needs nothing but itself, and pictures of a size that was asked for."""

from __future__ import annotations

import base64
import io
import json
import re
import struct

import numpy as np
import pytest

from kymograph.plot import page, picture
from kymograph.plot.files import FileStream
from kymograph.plot.making import Wish, make
from kymograph.plot.moments import Moment
from kymograph.plot.picture import Size
from kymograph.plot.recorded import recorded
from tests.unit.plot.made import T0, file, recording

NASTY = '</script><script>alert(1)</script><!-- {{data}} "&'


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    [source] = recorded(recording(tmp_path_factory.mktemp("page")))
    told = [Moment(T0 + 3_000_000_000, "mark", NASTY), Moment(T0 + 4_000_000_000, "alarm", "too hot")]
    return make([source], Wish(NASTY, points_max=400), told, lambda rows: None)


def page_of(drawing):
    out = io.BytesIO()
    page.write(drawing, out)
    return out.getvalue().decode()


def test_a_page_asks_nobody_and_has_the_licence_of_what_draws(drawing):
    text = page_of(drawing)
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)\s*=|@import|url\(|fetch\(|import\s""", text)
    assert "The MIT License (MIT)" in text and "export default" not in text


def test_no_name_ends_a_script_or_is_filled_in(drawing):
    text = page_of(drawing)
    assert text.count("</script>") == 3 and "alert(1)</script>" not in text
    assert "&lt;/script&gt;" in text


def test_the_numbers_are_inside_and_exact(drawing):
    data = json.loads(re.search(r'id="data">(.*?)</script>', page_of(drawing), re.S)[1])
    assert data["rows"] == 40_000 and data["moments"][0]["text"] == NASTY
    pressure = data["panels"][0]["lines"][0]
    kind, text = pressure["high"].split(":")
    values = np.frombuffer(base64.b64decode(text), {"f4": "<f4", "f8": "<f8"}[kind])
    assert (values == drawing.panels[0].lines[0].high)[~np.isnan(values)].all() and np.nanmax(values) == 999
    kind, text = data["tracks"][0].split(":")
    times = np.frombuffer(base64.b64decode(text), {"f4": "<f4", "f8": "<f8"}[kind])
    assert np.abs(times - (drawing.tracks[0].time_ns - T0) / 1e9).max() < 1e-9


def test_a_picture_has_its_size_and_an_svg_is_the_same_each_time(drawing):
    out = io.BytesIO()
    picture.draw(drawing, out, ".png", Size(900, 700, 100))
    assert struct.unpack(">II", out.getvalue()[16:24]) == (900, 700)
    first, second = io.BytesIO(), io.BytesIO()
    for file_ in (first, second):
        picture.draw(drawing, file_, ".svg", Size())
    assert first.getvalue() == second.getvalue() and b"<svg" in first.getvalue()


def test_a_log_that_counts_from_its_start_is_drawn_in_seconds(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,x\n" + "".join(f"{i / 10},{i}\n" for i in range(50)))
    drawing = make([FileStream(path)], Wish("a"), [], lambda rows: None)
    assert drawing.counted and drawing.subtitle() == "4.9 s · 50 rows"
    assert '"counted":true' in page_of(drawing)
    picture.draw(drawing, io.BytesIO(), ".png", Size())


def test_a_file_of_one_row_can_be_drawn(tmp_path):
    path = tmp_path / "a.jsonl"
    file(path)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    drawing = make([FileStream(path)], Wish("a"), [], lambda rows: None)
    picture.draw(drawing, io.BytesIO(), ".png", Size())
    assert drawing.rows == 1 and '1 row"' in page_of(drawing)
