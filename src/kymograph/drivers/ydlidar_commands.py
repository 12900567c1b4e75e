"""What one says to a YDLidar and what it answers, besides its scan.

A command is two bytes, `A5 CMD`. An answer is `A5 5A`, 30 bits of length and 2 of mode (little-endian), one
byte of type, and its payload. While it scans, a lidar takes only the command to stop.
Source: YDLidar development manuals and the SDK's protocol header.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kymograph.drivers.ports import Port
from kymograph.model.errors import DeviceError, DeviceSilent

SCAN: Final = 0x60
FORCE_STOP: Final = 0x00
STOP: Final = 0x65
RESTART: Final = 0x80
INFO: Final = 0x90
HEALTH: Final = (0x91, 0x92)
"""Manuals say 91, the SDK says 92; devices know one or both."""
FASTER_BY_TENTH: Final = 0x09
SLOWER_BY_TENTH: Final = 0x0A
FASTER_BY_ONE: Final = 0x0B
SLOWER_BY_ONE: Final = 0x0C
GET_FREQUENCY: Final = 0x0D
NEXT_RATE: Final = 0xD0
GET_RATE: Final = 0xD1

TYPE_VALUE: Final = 0x04
TYPE_HEALTH: Final = 0x06
TYPE_SCAN: Final = 0x81

ANSWER_TIMEOUT_S: Final = 0.5
_SETTLE_S: Final = 0.005
_MARK: Final = b"\xa5\x5a"
_HEAD_BYTES: Final = 7
_Fits = Callable[[int, int], bool]
"""Whether an answer of that type and length is the one waited for."""
_STEPS_MAX: Final = 64
"""Steps of frequency before giving up: 16 of 1 Hz and as many of 0.1 Hz are the most that can be needed."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a lidar says of itself."""

    model_id: int
    firmware: str
    hardware: int
    serial: str

    @property
    def firmware_number(self) -> tuple[int, int]:
        """The firmware's version, to be compared."""
        major, _, minor = self.firmware.partition(".")
        return int(major), int(minor)


def info_from_payload(payload: bytes) -> DeviceInfo:
    """Read the 20 bytes of a device information; the high byte of the firmware is its major number."""
    digits = "".join(str(value) if value < 10 else "?" for value in payload[4:20])
    return DeviceInfo(payload[0], f"{payload[2]}.{payload[1]}", payload[3], digits)


def find_info(data: bytes) -> DeviceInfo | None:
    """Find a device information in what a lidar sent unasked at power-on."""
    at = data.find(_MARK + b"\x14\x00\x00\x00\x04")
    payload = data[at + _HEAD_BYTES : at + _HEAD_BYTES + 20]
    return info_from_payload(payload) if at >= 0 and len(payload) == 20 else None


class Commands:
    """Asks a lidar that does not scan. Bytes that are no answer are passed over."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def stop(self) -> None:
        """Stop the scan, and let what is still on the wire run out."""
        for code in (FORCE_STOP, STOP):
            self._send(code)
            time.sleep(_SETTLE_S)
        quiet_after = time.monotonic() + 0.25
        while self._port.read(0.02) and time.monotonic() < quiet_after:
            pass

    def scan(self) -> bytes:
        """Start the scan and return what came after its header already.

        Raises:
            DeviceSilent: the command was not answered.
        """
        for _ in range(2):
            self._send(SCAN)
            _, rest = self._answer(lambda kind, _: kind == TYPE_SCAN)
            if rest is not None:
                return rest
        raise DeviceSilent("the lidar does not answer the command to scan", hint="check its power")

    def info(self) -> DeviceInfo | None:
        """Return the device information, or None if it does not come."""
        payload = self._ask(INFO, TYPE_VALUE, 20)
        return info_from_payload(payload) if payload else None

    def health(self) -> dict[str, Any]:
        """Return `{health, error_code}`; health is ok, warning, error or unknown."""
        for code in HEALTH:
            payload = self._ask(code, TYPE_HEALTH, 3)
            if payload:
                word = {0: "ok", 1: "warning", 2: "error"}.get(payload[0], "unknown")
                return {"health": word, "error_code": int.from_bytes(payload[1:3], "little")}
        return {"health": "unknown", "error_code": 0}

    def frequency(self) -> float | None:
        """Return the rotation that is set, in Hz."""
        payload = self._ask(GET_FREQUENCY, TYPE_VALUE, 4)
        return int.from_bytes(payload, "little") / 100 if payload else None

    def set_frequency(self, wanted_hz: float, offset_hz: float = 0.0) -> float:
        """Step the rotation to within 0.1 Hz of the one wanted, and return it.

        Raises:
            DeviceError: it does not follow.
        """
        now_hz = self.frequency()
        for _ in range(_STEPS_MAX):
            if now_hz is None:
                raise DeviceSilent("the lidar does not answer when asked for its frequency")
            short_hz = wanted_hz + offset_hz - now_hz
            if abs(short_hz) < 0.0951:
                return now_hz - offset_hz
            whole = abs(short_hz) > 0.95
            up, down = (FASTER_BY_ONE, SLOWER_BY_ONE) if whole else (FASTER_BY_TENTH, SLOWER_BY_TENTH)
            payload = self._ask(up if short_hz > 0 else down, TYPE_VALUE, 4)
            now_hz = int.from_bytes(payload, "little") / 100 if payload else None
        raise DeviceError(
            f"the lidar does not reach {wanted_hz:g} Hz", hint="see its model's limits", now_hz=now_hz
        )

    def set_rate(self, wanted: int, count: int) -> bool:
        """Switch to the sampling rate of that code, one of `count`; return whether it is set."""
        payload = self._ask(GET_RATE, TYPE_VALUE, 1)
        for _ in range(count):
            if not payload or payload[0] == wanted:
                break
            payload = self._ask(NEXT_RATE, TYPE_VALUE, 1)
        return bool(payload) and payload[0] == wanted

    def restart(self) -> None:
        """Restart the lidar's own computer."""
        self._send(RESTART)

    def _send(self, code: int) -> None:
        self._port.write(bytes((0xA5, code)))

    def _ask(self, code: int, kind: int, length: int) -> bytes:
        """Return the payload of an answer, b"" if none comes in time."""
        self._send(code)
        payload, _ = self._answer(lambda k, n: k == kind and n == length)
        return payload

    def _answer(self, fits: _Fits) -> tuple[bytes, bytes | None]:
        """Wait for an answer; return its payload and what followed it, or b"" and None."""
        data = b""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while (left_s := deadline - time.monotonic()) > 0:
            data += self._port.read(left_s)
            found = _find_answer(data, fits)
            if found is not None:
                return found
        return b"", None


def _find_answer(data: bytes, fits: _Fits) -> tuple[bytes, bytes] | None:
    """Return the payload of the first whole answer that fits, and what follows it."""
    at = data.find(_MARK)
    while at >= 0 and len(data) >= at + _HEAD_BYTES:
        kind = data[at + 6]
        length = int.from_bytes(data[at + 2 : at + 6], "little") & 0x3FFFFFFF
        if kind == TYPE_SCAN:
            # The length in a scan's header means nothing: its packets never end.
            length = 0
        if fits(kind, length):
            stop = at + _HEAD_BYTES + length
            return (data[at + _HEAD_BYTES : stop], data[stop:]) if len(data) >= stop else None
        at = data.find(_MARK, at + 2)
    return None
