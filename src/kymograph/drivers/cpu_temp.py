"""How warm the processor is.

    [instruments.cpu_temp]
    driver = "cpu_temp"

    [instruments.cpu_temp.options]
    rate_hz = 0.2
    vcgencmd = "vcgencmd"      # "" leaves it out
    timeout_s = 2.0

Asks `vcgencmd measure_temp` where a Raspberry Pi has it, else reads the first thermal zone of Linux. Where
there is `vcgencmd`, a channel `throttled` holds the bits of `vcgencmd get_throttled`: 0 too little voltage,
1 slowed down, 2 throttled, 3 near its limit of temperature, each now; 16 to 19 the same since the start; -1
if it does not say.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from kymograph.drivers.base import DriverOptions
from kymograph.drivers.shapes import PolledDriver
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent

_TEMPERATURE: Final = re.compile(r"temp=(-?[\d.]+)")
_THROTTLED: Final = re.compile(r"throttled=(0x[0-9a-fA-F]+)")
_ANSWER_BYTES_MAX: Final = 4096
_END_S: Final = 0.2
UNKNOWN: Final = -1


class CpuTempOptions(DriverOptions):
    """Options of the driver `cpu_temp`."""

    rate_hz: float = Field(default=0.2, gt=0, le=100)
    vcgencmd: str = "vcgencmd"
    """The program, by name or path."""
    thermal: Path = Path("/sys/class/thermal/thermal_zone0/temp")
    """Thousandths of a degree, as Linux gives them."""
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class CpuTemp(PolledDriver[CpuTempOptions]):
    """How warm the processor is."""

    Options = CpuTempOptions

    def __init__(self, options: CpuTempOptions, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._program = shutil.which(options.vcgencmd) if options.vcgencmd else None

    def streams(self) -> Sequence[Stream]:
        """Return the one stream; with a channel `throttled` where there is `vcgencmd`."""
        channels = [Channel("temperature", "float64", "Cel", "of the processor", 0, 100)]
        if self._program:
            channels.append(Channel("throttled", "int32", "", "bits of get_throttled; -1 unknown"))
        return [Stream("processor", tuple(channels), self.options.rate_hz, "the processor")]

    def open(self) -> Mapping[str, Any]:
        """Look whether it can be measured, and say how.

        Raises:
            DeviceError: it cannot.
        """
        by_program = self._program is not None and math.isfinite(self._asked(self._program))
        if not by_program:
            self._zone()
        return {"source": self._program if by_program else str(self.options.thermal)}

    def poll(self) -> Sequence[float]:
        """Measure once.

        Raises:
            DeviceSilent: the program hangs; it is killed.
            DeviceError: neither the program nor the file says anything.
        """
        if self._program is None:
            return (self._zone(),)
        temperature = self._asked(self._program)
        if math.isnan(temperature):
            temperature = self._zone()
        return temperature, self._throttled(self._program)

    def _asked(self, program: str) -> float:
        """Return what the program says, NaN if it cannot: in a container it has no firmware to ask."""
        found = _TEMPERATURE.search(self._run(program, "measure_temp"))
        try:
            return float(found[1]) if found else math.nan
        except ValueError:
            return math.nan

    def _throttled(self, program: str) -> int:
        found = _THROTTLED.search(self._run(program, "get_throttled"))
        return int(found[1], 16) & 0x7FFF_FFFF if found else UNKNOWN

    def _run(self, program: str, word: str) -> str:
        """Return what the program prints; "" if it fails.

        Raises:
            DeviceSilent: it does not end in time.
        """
        try:
            process = subprocess.Popen(
                [program, word], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError:
            return ""
        try:
            said, _ = process.communicate(timeout=self.options.timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise DeviceSilent(
                f"{program} {word} does not end; it was killed after {self.options.timeout_s:g} s",
                hint='restart the computer; or leave the program out with vcgencmd = ""',
            ) from None
        return said[:_ANSWER_BYTES_MAX].decode("ascii", "replace") if process.returncode == 0 else ""

    def _zone(self) -> float:
        try:
            return int(self.options.thermal.read_text("ascii")) / 1000
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "holds no number"
            raise DeviceError(
                f"{self.options.thermal}: {reason}",
                hint="this computer does not tell its temperature there; give options.thermal another zone",
            ) from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the program and all it started; wait for its end, but not for one the kernel holds."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
