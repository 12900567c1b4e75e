"""Two stepper motors on an Arduino Uno that is told relative angles, one at a time.

    [instruments.motors]
    driver = "arduino_stepper"
    port = "serial:///dev/ttyACM0"

    [instruments.motors.options]
    resets_on_open = true     # false: a board whose reset line is cut
    time_scale = 1.0          # below 1 for a fast simulator

The board has hazards of its own. Opening the port resets it, and then it *believes* that both motors stand at
their start (-1727.5 degrees): `position_lost` says so. Two lines sent too close become one wild move, so one
command is out at a time and the next goes 600 ms after the last reply. A move cannot be stopped: the board
hears nothing until it has ended.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import Field

from kymograph.drivers.arduino_stepper_board import Board, Move
from kymograph.drivers.arduino_stepper_lines import BANNER, LIMIT_DEG, MOTORS, parse_line
from kymograph.drivers.base import DriverOptions, GivenUp, command
from kymograph.drivers.shapes import PortDriver
from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent, Refused, Unavailable
from kymograph.model.limits import LINE_BYTES_MAX

log = logging.getLogger(__name__)

BOOT_S: Final = 4.0
"""From opening to the last line of the boot text: 2 s at most in the boot loader, and patience."""
BEAT_S: Final = 30.0
SILENT_BEATS: Final = 2.5
"""So many heart-beats without a word, and the board counts as silent."""
ROW_S: Final = 1.0
_SLICE_S: Final = 0.05
_STRANGE_LINES_MAX: Final = 3
"""Of another device, kept to be shown."""

_POSITION: Final = "as the board last said; NaN unknown"
STREAM: Final = Stream(
    "reading",
    (
        Channel("position1", "float32", "deg", _POSITION, low=-LIMIT_DEG, high=LIMIT_DEG),
        Channel("position2", "float32", "deg", _POSITION, low=-LIMIT_DEG, high=LIMIT_DEG),
        Channel("moving", "uint8", description="whether a motor moves", labels=("still", "moving")),
    ),
    description="two stepper motors: a row at each change and each second",
)

MotorId = Annotated[int, Field(strict=True, ge=MOTORS[0], le=MOTORS[-1])]
Angle = Annotated[float, Field(strict=True, ge=-2 * LIMIT_DEG, le=2 * LIMIT_DEG, allow_inf_nan=False)]


class ArduinoStepperOptions(DriverOptions):
    """Options of the driver `arduino_stepper`."""

    resets_on_open: bool = True
    """Whether opening the port resets the board; if not, its first heart-beat says what it is."""
    time_scale: float = Field(default=1.0, gt=0, le=1.0)
    """Below 1 for a simulated board that runs faster than a real one."""


class ArduinoStepper(PortDriver[ArduinoStepperOptions]):
    """Two stepper motors on an Arduino Uno."""

    Options: ClassVar[type[DriverOptions]] = ArduinoStepperOptions
    baud: ClassVar[int] = 115200
    asks_leave: ClassVar[bool] = True

    def __init__(self, options: ArduinoStepperOptions, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._board = Board(options.time_scale)
        self.silence_s = SILENT_BEATS * BEAT_S * self._board.patience
        self._before: tuple[float, ...] = ()
        """Where the motors were when this driver last heard it, over all openings."""
        self._rest = b""
        self._strange: list[str] = []
        self._rows: list[tuple[float, ...]] = []
        self._acquiring = False
        self._row_at_ns = 0
        self._last_ns = 0
        self._stop_asked = False

    @property
    def position_lost(self) -> bool:
        """Whether the board was reset, and so counts from its start wherever the motors stand."""
        return self._board.resets > 0

    def streams(self) -> Sequence[Stream]:
        """Return the one stream; irregular, as changes come when they come."""
        return [STREAM]

    # -- open and close ------------------------------------------------------------------------------------
    def open(self) -> Mapping[str, Any]:
        """Open the port, which resets the board, and wait for its boot text, which says what it is.

        Raises:
            PortError: the port cannot be opened.
            DeviceSilent: nothing is said.
            DeviceError: what is said is not what this sketch says.
        """
        self._forget()
        super().open()
        self._await_boot()
        position1, position2 = self._board.positions
        facts: dict[str, Any] = {
            "sketch": BANNER.strip("= "), "position1": position1, "position2": position2,
            "position_lost": self.position_lost,
        }  # fmt: skip
        if self.position_lost and self._before:
            facts["positions_before"] = list(self._before)
        return facts

    def _await_boot(self) -> None:
        wait_s = BOOT_S * self._board.patience
        if not self.options.resets_on_open:
            wait_s += BEAT_S * self.options.time_scale
        deadline_ns = self.clock.monotonic_ns() + int(wait_s * 1e9)
        while self.clock.monotonic_ns() < deadline_ns:
            self._pump(_SLICE_S)
            if self._board.booted or not (self.options.resets_on_open or self._board.unknown):
                return
            self.activity = "waiting for the board to start"
            if self.hurry.is_set():
                raise GivenUp("nobody waits for the board any more")
        if not self._board.unknown:
            return
        where = self.link.description
        if self._strange or self._rest:
            heard = [*self._strange, self._rest[-80:].decode("utf-8", "replace")]
            raise DeviceError(
                f"what answers on {where} is not the stepper board",
                hint="give this instrument the port of the Arduino",
                heard=[text for text in heard if text],
            )
        raise DeviceSilent(
            f"no stepper board speaks on {where}",
            hint="check its power and its port; where its reset line is cut, say resets_on_open = false",
        )

    def close(self) -> None:
        """Let go of the port; where the motors are is not known any more."""
        super().close()
        self._forget()

    def _forget(self) -> None:
        self._board = Board(self.options.time_scale)
        self._rest, self._strange = b"", []
        self._acquiring = False

    # -- acquire -------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin with a row of what is known now."""
        super().start()
        self._rows.clear()
        self._acquiring = True
        self._row_at_ns = self.clock.monotonic_ns()

    def stop(self) -> None:
        """Cease to make rows; a move goes on."""
        self._acquiring = False

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Hear what the board says; return a row for each change, and one each second.

        Raises:
            DeviceSilent: not even heart-beats come.
        """
        self._pump(timeout_s)
        if self._board.move is None:
            self.check_silence(heard=False)
        return self.leftover()

    def leftover(self) -> Sequence[Rows]:
        """Return the rows that were made while a command waited."""
        rows, self._rows = self._rows, []
        if not rows:
            return []
        times, *positions, moving = zip(*rows, strict=True)
        columns = [*(np.array(column, np.float32) for column in positions), np.array(moving, np.uint8)]
        return [Rows(STREAM.name, np.array(times, np.int64), columns)]

    def forget_time(self) -> None:
        """Let times begin anew."""
        self._last_ns = 0

    def _pump(self, timeout_s: float) -> None:
        """Hear what comes within a time, make the rows that are due, and note what did not come."""
        board, now_ns = self._board, self.clock.monotonic_ns()
        due_ns = [self._row_at_ns] if self._acquiring else []
        due_ns += [board.move.deadline_ns] if board.move else []
        wait_s = min([timeout_s, *((at_ns - now_ns) / 1e9 for at_ns in due_ns)])
        data = self.receive(max(wait_s, 0.0))
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._hear(line)
        if len(self._rest) > LINE_BYTES_MAX:
            self._rest = self._rest[-80:]
            self.counters.frames_bad += 1
            self.counters.resyncs += 1
        now_ns = self.clock.monotonic_ns()
        if board.pass_time(now_ns):
            self._add_row()
        if self._acquiring and now_ns >= self._row_at_ns:
            self._add_row()
            period_ns = int(ROW_S * self.options.time_scale * 1e9)
            self._row_at_ns += ((now_ns - self._row_at_ns) // period_ns + 1) * period_ns
        asked = "; stop was asked for, and cannot be had" if self._stop_asked and board.moving else ""
        self.activity = board.note() + asked

    def _hear(self, line: bytes) -> None:
        try:
            said = parse_line(line)
        except ValueError:
            self.counters.frames_bad += 1
            if len(self._strange) < _STRANGE_LINES_MAX:
                self._strange.append(line[:80].decode("utf-8", "replace").strip())
            return
        self.counters.frames_good += 1
        self._heard_ns = self.clock.monotonic_ns()
        state, move = self._board.state, self._board.move or self._board.doubt
        if said.kind == "echo" and (move is None or said.words != move.line):
            log.warning("the stepper board on %s obeys what was not sent: %r", self.port, said.words)
        self._board.hear(said, self._heard_ns)
        if said.kind == "banner" and self._acquiring:
            self.fell_silent = True
            log.warning("the stepper board on %s was reset: it has lost its position", self.port)
        if said.kind in ("done", "beat") and not self._board.unknown:
            self._before = tuple(self._board.positions)
        if self._board.state != state:
            self._add_row()

    def _add_row(self) -> None:
        if self._acquiring:
            self._last_ns = max(self.clock.now_ns(), self._last_ns)
            self._rows.append((self._last_ns, *self._board.positions, self._board.moving))

    # -- move ----------------------------------------------------------------------------------------------
    @command
    def move(self, motor_id: MotorId, angle: Angle) -> dict[str, Any]:
        """Turn a motor by an angle in degrees and wait until the board says where it is.

        Rows are made meanwhile. Whoever waits no longer does not stop the motor: nothing does.

        Raises:
            InvalidInput: no such motor, or an angle that leads beyond the limits.
            Conflict: a move is under way, the position is not known, or the motor went elsewhere.
            Refused: the board says no, or stop was asked for before the move was sent.
            TimedOut: the board did not say that it is done.
            Unavailable: stop was asked for, or the instrument is being closed; what was sent goes on.
        """
        self._pump(0.0)
        angle = round(angle, 2) if math.isfinite(angle) else angle
        self._board.check(motor_id, angle)
        while (rest_ns := self._board.ready_ns - self.clock.monotonic_ns()) > 0:
            self._leave_if_unwanted()
            self._pump_and_deliver(min(_SLICE_S, rest_ns / 1e9))
        self._leave_if_unwanted()
        self._board.check(motor_id, angle)
        self.permit()
        move = self._send(motor_id, angle)
        while not move.ended:
            self._leave_if_unwanted(move)
            self._pump_and_deliver(_SLICE_S)
        if move.error is not None:
            raise move.error
        return {
            "motor_id": motor_id, "angle": angle, "position": move.position, "response": move.response,
        }  # fmt: skip

    def _pump_and_deliver(self, timeout_s: float) -> None:
        self._pump(timeout_s)
        if self.deliver is not None:
            self.deliver(self.leftover())

    def _leave_if_unwanted(self, move: Move | None = None) -> None:
        """Leave the command; a move that was sent goes on, and `read` hears of its end."""
        if self.stop_wanted.is_set() and move is None:
            raise Refused("stop was asked for before the move was sent")
        if self.stop_wanted.is_set() or self.hurry.is_set():
            why = "stop was asked for" if self.stop_wanted.is_set() else "nobody waits for the move any more"
            raise Unavailable(f"{why}; it {'goes on to its end' if move else 'was not sent'}")

    def _send(self, motor: int, angle: float) -> Move:
        self._stop_asked = False
        line = f"{motor}:{angle:.2f}"
        self.link.write(line.encode() + b"\n")
        move = self._board.sent(motor, angle, line, self.clock.monotonic_ns())
        self._add_row()
        return move

    # -- what moves ----------------------------------------------------------------------------------------
    def actuators(self) -> Sequence[Actuator]:
        """Return the two motors; their safe value is to stay where they are."""
        text = "turned by relative angles; a move cannot be stopped"
        return [Actuator(f"motor{n}", "deg", -LIMIT_DEG, LIMIT_DEG, description=text) for n in MOTORS]

    def expects(self, command: str, arguments: Mapping[str, Any]) -> Mapping[str, float]:
        """See `Driver.expects`: where the move leads."""
        motor = int(arguments["motor_id"])
        at = self._board.positions[motor - 1]
        return {} if math.isnan(at) else {f"motor{motor}": at + round(float(arguments["angle"]), 2)}

    def read_back(self) -> Mapping[str, float | None]:
        """Return where the board last said that the motors are, None where that is not known."""
        said = zip(MOTORS, tuple(self._board.positions), strict=True)
        return {f"motor{motor}": None if math.isnan(at) else at for motor, at in said}

    def make_safe(self) -> None:
        """Send nothing: a motor that stands is safe, and one that moves cannot be stopped, which is said."""
        self._stop_asked = True
        if self._board.moving:
            log.warning(
                "a motor on %s moves and cannot be stopped; only the board's power ends it", self.port
            )
