"""An instrument that sends lines of text, as its host sees it.

    sim://text_line?template=T:{temperature:.2f},H:{humidity:.1f}&rate_hz=1&seed=1
    sim://text_line?lines=/home/pi/recorded.txt&rate_hz=10

`template` is a line; in braces stand `temperature`, `pressure`, `humidity` (weather that could be), `count`
and `time_s`, each with a format as Python writes it. `lines` is a file whose lines are sent instead, over and
over. `poll=READ` sends a line only when that was heard; `end` is lf, crlf or cr; `hour` and `day_s` are the
weather's.

A fault of its own: `say TEXT` sends a line of that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from kymograph.model.errors import InvalidInput
from kymograph.sim.weather import Weather, take_weather

TEMPLATE: Final = "T: {temperature:.2f} C, P: {pressure:.2f} hPa, H: {humidity:.1f} %"
Line = Callable[[Mapping[str, float]], str]
"""Makes a line of the values of a moment."""
_ENDS: Final[Mapping[str, bytes]] = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
_FIELD: Final = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_CATCH_UP: Final = 1000
"""Lines at most in one go, after the computer was busy."""


class TextLine:
    """The instrument."""

    baud = 0
    hold_bytes = 65_536

    def __init__(
        self, lines: Sequence[Line], rate_hz: float, end: bytes, poll: bytes, weather: Weather
    ) -> None:
        self.interval_s = min(0.05, 0.5 / rate_hz)
        self._lines = lines
        self._rate_hz = rate_hz
        self._end = end
        self._poll = poll
        self._weather = weather
        self._began_s: float | None = None
        self._made = 0
        self._sent = 0
        self._heard = b""
        self._said = b""

    def power_on(self) -> None:
        """Begin as after the power came."""
        self._heard = b""

    def fault(self, words: list[str]) -> bool:
        """Say something of its own accord."""
        if words[0] != "say":
            return False
        self._said += " ".join(words[1:]).encode() + self._end
        return True

    def receive(self, data: bytes) -> None:
        """Take what the host sent."""
        self._heard = (self._heard + data)[-1024:]

    def advance(self, time_s: float) -> bytes:
        """Return the lines that are due."""
        if self._began_s is None:
            self._began_s = time_s
        now_s = time_s - self._began_s
        out, self._said = self._said, b""
        if self._poll:
            asked = self._heard.count(self._poll)
            self._heard = (
                self._heard[self._heard.rfind(self._poll) + len(self._poll) :] if asked else self._heard
            )
            return out + b"".join(self._line(now_s) for _ in range(asked))
        due = int(now_s * self._rate_hz)
        self._made = max(self._made, due - _CATCH_UP)
        while self._made < due:
            self._made += 1
            out += self._line(self._made / self._rate_hz)
        return out

    def _line(self, time_s: float) -> bytes:
        line = self._lines[self._sent % len(self._lines)]
        self._sent += 1
        values = {**self._weather.at(time_s)._asdict(), "count": self._sent, "time_s": time_s}
        return line(values).encode() + self._end


def _from_template(template: str) -> Line:
    """Return what puts values into a template.

    Raises:
        KeyError: it names a value that there is not.
        ValueError: a format makes no sense.
    """

    def line(values: Mapping[str, float]) -> str:
        return _FIELD.sub(lambda match: format(values[match[1]], match[2] or ""), template)

    line({**Weather().at(0.0)._asdict(), "count": 1, "time_s": 0.0})
    return line


def _from_file(path: Path) -> list[Line]:
    texts = [text for text in path.read_text("utf-8", "replace").splitlines() if text]
    if not texts:
        raise ValueError(f"{path}, which is empty")
    return [lambda _values, text=text: text for text in texts]


def make(parameters: Mapping[str, str]) -> TextLine:
    """Make an instrument from the parameters of its address.

    Raises:
        InvalidInput: one is unknown or makes no sense.
    """
    given = dict(parameters)
    try:
        lines = [_from_template(given.pop("template", TEMPLATE))]
        if path := given.pop("lines", ""):
            lines = _from_file(Path(path))
        rate_hz = float(given.pop("rate_hz", "1"))
        end = _ENDS[given.pop("end", "lf")]
        poll = given.pop("poll", "").encode()
        weather = take_weather(given)
        if given or not 0 < rate_hz <= 10_000:
            raise ValueError(", ".join(sorted(given)) or "rate_hz")
    except (ValueError, KeyError, OSError) as error:
        raise InvalidInput(
            f"the simulated instrument does not understand {error}", hint="see kymograph.sim.text_line"
        ) from None
    return TextLine(lines, rate_hz, end, poll, weather)
