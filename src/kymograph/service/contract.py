"""What a station can be asked to do: the one list that the engine serves and the front calls.

Answers are plain data (what JSON and msgpack can say), so that they are the same on both sides of the
link. Shapes are those of the `to_dict` of the noun that is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypedDict, Unpack

from kymograph.model.block import Block, Column, Cursor, Times

Plain = dict[str, Any]


class Terms(TypedDict, total=False):
    """On what terms a command is given, where it is not as usual."""

    fence: int | None
    """Of the lease that it is given under; None: that of its giver, who takes one if nobody has it."""
    key: str
    """The giver's own: the same key is the same command."""
    late_s: float | None
    """How long it may wait to be sent, `COMMAND_LATE_S_MIN` to `COMMAND_LATE_S_MAX`. None: of what moves
    `COMMAND_LATE_S`, of others as long as an answer may take."""


class BlockSink(Protocol):
    """Who is handed the blocks of a subscription."""

    @property
    def rows_lost(self) -> int:
        """Rows that were offered and could not be taken."""
        ...

    def put(self, block: Block) -> bool:
        """Take a block at once or count its rows as lost; never waits."""
        ...


class Subscription(Protocol):
    """What `subscribe` and `on_event` give back."""

    def close(self) -> None:
        """End it; nothing is called afterwards, but for what is under way. May be called twice."""
        ...


class ControlService(Protocol):
    """Who may move what: the lease, arming, the stop of everything, interlocks. See `service.controls`."""

    def status(self) -> Plain:
        """Return who may move what, and where it is.

        `stopped stop lease armed`, `interlocks` (each with `state reason now stale margin …`), `actuators`
        (each with `instrument value needs_arming …`), and `commands`: those under way and the last that
        ended, the newest last, each with `id state instrument command arguments by fence answer reason`, and
        `time_ns`, when it was accepted.
        """
        ...

    def stop_all(self, by: str, reason: str = "") -> Plain:
        """Bring everything into its safe state and let nothing move until that is reset; needs no lease.

        Answers `stopped stop sent{instrument: how it went}`.
        """
        ...

    def reset_stop(self, by: str, number: int | None = None) -> Plain:
        """Reset a stop in two steps: without a number one is answered as `confirm`, with it the stop is over.

        Raises:
            Conflict: nothing is stopped, or the number is not the last one.
        """
        ...

    def take(self, by: str, ttl_s: float) -> Plain:
        """Take control, or keep it for longer; return the lease.

        Raises:
            Conflict: another holds it.
        """
        ...

    def give_up(self, by: str, break_: bool = False) -> Plain:
        """Give control back, or, as an admin, take it from whoever has it; what moves is made safe.

        Raises:
            Conflict: somebody else holds it.
        """
        ...

    def hand_over(self, by: str, to: str, ttl_s: float) -> Plain:
        """Give control to another, without a moment in which nobody has it; return the new lease.

        Nothing is made safe; what was armed is not any more, and a run that is under way ends.

        Raises:
            Conflict: `by` does not hold it.
        """
        ...

    def arm(self, target: str, by: str, ttl_s: float, fence: int | None = None) -> Plain:
        """Arm an actuator, as `instrument.actuator`, or `sequence/NAME`, for one execution by its holder.

        Raises:
            Conflict: another holds control.
            NotFound: the station file says nothing of arming that.
            Refused: everything is stopped.
        """
        ...

    def disarm(self, target: str, by: str) -> Plain:
        """Take an arming away, whoever armed it; return the status."""
        ...

    def reset_interlock(self, name: str, by: str) -> Plain:
        """Let a latched interlock go; nothing moves.

        Raises:
            NotFound: there is none of that name.
            Refused: its cause is still there.
        """
        ...


class TriggerService(Protocol):
    """What begins a recording by itself. See `service.triggers`."""

    def status(self) -> list[Plain]:
        """Return every trigger: `name when state(armed recording waiting off) last_ns recordings …`."""
        ...

    def arm(self, name: str, by: str = "") -> Plain:
        """Let a trigger fire at the next crossing, and return it."""
        ...

    def disarm(self, name: str, by: str = "") -> Plain:
        """Let a trigger not fire, and return it; what it records goes on to its end."""
        ...

    def fire(self, name: str, by: str = "") -> Plain:
        """Record as if the condition had become true now; return the trigger.

        Raises:
            Conflict: the trigger is off.
        """
        ...


class RunService(Protocol):
    """Sequences and their runs, one at a time. See `service.runs`.

    A run is `id sequence sha256 by fence keep parameters state reason started_ns ended_ns line waits_for
    left_s path asked failures timeline recordings`; its `state` is `running`, `paused`, `ending` (at its
    `always` steps), `done`, `aborted` or `failed`.
    """

    def sequences(self) -> list[Plain]:
        """Return `name description parameters file sha256 built_in problems` of each sequence."""
        ...

    def sequence(self, name: str) -> Plain:
        """Return one with its `text` and its `timeline`."""
        ...

    def validate(self, name: str, parameters: Mapping[str, Any]) -> Plain:
        """Return `ok problems timeline` of a sequence with these parameters."""
        ...

    def start(self, request: Mapping[str, Any]) -> Plain:
        """Start a run and return it: `sequence parameters by fence keep`.

        It lives under the lease of that `fence`, or that of `by`, who takes it if nobody has it. With `keep`
        it renews the lease itself; else somebody must, or it fails when the lease runs out.

        Raises:
            InvalidInput: the sequence or its parameters do not fit this station; `faults` says where.
            Conflict: another holds control, or a run is going on.
            Refused: everything is stopped, an instrument is not open, or `sequence/NAME` is to be armed.
        """
        ...

    def list(self, limit: int = 100) -> list[Plain]:
        """Return runs, newest first, without `asked` and `timeline`."""
        ...

    def get(self, id: str) -> Plain:
        """Return a run."""
        ...

    def pause(self, id: str, by: str) -> Plain:
        """Let the time of a run stand still."""
        ...

    def resume(self, id: str, by: str) -> Plain:
        """Let it go on; for who started it."""
        ...

    def abort(self, id: str, by: str, reason: str = "") -> Plain:
        """Bring a run to its `always` steps; it ends as `aborted`."""
        ...

    def emergency(self, by: str) -> Plain:
        """Run the emergency sequence, whoever holds control and whatever goes on; return when it is over.

        Where none fits the station, everything is stopped. Afterwards everything is in its safe state, and
        stopped. Answers `status message run_id feedback[{step outcome detail}]`; an `outcome` is `verified`
        by what the device says, `unverified` or `failed`.
        """
        ...


class RetentionService(Protocol):
    """What is deleted to make room, of what only the engine may delete. See `service.recording.retaining`."""

    def thin(self, recording_id: str, filenames: Sequence[str], reason: str) -> Plain:
        """Delete sealed files of an ended recording; its manifest goes on naming them, as deleted.

        Answers `deleted` (the names), `rows` and `size_bytes`. Names that are not listed are left out; done
        twice it is done once.

        Raises:
            Conflict: it is pinned, running, of another station, or not sealed or merged yet.
        """
        ...

    def pin(self, recording_id: str, pinned: bool, by: str = "") -> Plain:
        """Keep retention from a recording, or no more, and return the recording."""
        ...

    def lost(self, body: Mapping[str, Any]) -> None:
        """Write into the audit, and tell as an `alarm`, that something went which no hub has."""
        ...


class StationService(Protocol):
    """The engine's service. Every method may raise any `KymographError`."""

    def station(self) -> Plain:
        """Return `name id version started_ns now_ns simulated disk{state free_bytes total_bytes} clock …`."""
        ...

    def instruments(self) -> list[Plain]:
        """Return the status of every instrument."""
        ...

    def instrument(self, name: str) -> Plain:
        """Return one instrument's status with its `options`, `options_schema` and `commands`."""
        ...

    def drivers(self) -> list[Plain]:
        """Return `name description options_schema commands` of every driver that can be configured."""
        ...

    def act(self, instrument: str, action: str) -> Plain:
        """Do `open`, `start`, `pause`, `resume`, `stop` or `close`, wait until it is done or failed, and
        return the status."""
        ...

    def configure(
        self, instrument: str, options: Mapping[str, Any], port: str | None = None, by: str = ""
    ) -> Plain:
        """Change some of an instrument's options, or where it is; it goes back to what it was doing.

        `port` is a serial device or a TCP port; an instrument that is simulated stays so.
        """
        ...

    def command(
        self,
        instrument: str,
        command: str,
        arguments: Mapping[str, Any],
        by: str = "",
        **terms: Unpack[Terms],
    ) -> Plain:
        """Have the instrument's driver run a command and return `instrument command arguments result`.

        Refused at once if it is not open. One of an instrument that moves something needs control: under the
        lease of that `fence`, or, without, that of `by`, who takes it if nobody has it. It is answered with
        its `id` and `state` too, and given twice with one `key` it is one command.

        Raises:
            InvalidInput: a `late_s` out of bounds.
            Conflict: another holds control, or the key was used for something else.
            Refused: everything is stopped, an interlock forbids it, or it is not armed.
            TimedOut: it could not be sent in time, and never will be; or the device did not answer.
        """
        ...

    @property
    def control(self) -> ControlService:
        """Who may move what."""
        ...

    @property
    def runs(self) -> RunService:
        """Sequences and their runs."""
        ...

    def streams(self) -> list[Plain]:
        """Return every stream: its `to_dict` with `instrument epoch next_seq ring{rows capacity …_ns}`."""
        ...

    def record_start(self, request: Mapping[str, Any]) -> Plain:
        """Begin a recording and return it.

        `request`: `name`; `streams` or `instruments` (default: all); `format`, `format_options`,
        `segment_interval_s`, `merge`, `metadata`, `by`; `id`, a UUID of the caller's own; `file_stem`, what
        the sealed files of one stream are called; `attachments`, texts by file name; `unique` refuses
        a name that was ever used; `begin_acquiring` opens and
        starts the instruments and waits `first_row_timeout_s` for a row of each, undoing all if none comes;
        `pre_s` begins with what the rings hold of so many last seconds (metadata `pre_s`, `pre_s_given`).

        Raises:
            Conflict: a stream is being recorded already (facts: `recording_id`, `name`), or the name exists.
        """
        ...

    def record_stop(self, recording_id: str, stop_acquiring: bool = False) -> Plain:
        """End a recording, sealed and listed, and return it."""
        ...

    def promote(self, request: Mapping[str, Any]) -> Plain:
        """Record what the rings hold of the last `seconds`, beside what is being recorded, and return it.

        `request`: `name`, `seconds`; `streams`, `instruments`, `format`, `metadata` as of a recording. It
        ends by itself; its metadata says `promoted_s`, and `promoted_s_given` if the rings held less.

        Raises:
            Conflict: there are no rows yet, or too many recordings beside the main one.
        """
        ...

    @property
    def triggers(self) -> TriggerService:
        """What begins a recording by itself."""
        ...

    @property
    def retention(self) -> RetentionService:
        """What is deleted to make room."""
        ...

    def recorders(self) -> list[Plain]:
        """Return the `RecorderStatus` of every running recording."""
        ...

    def annotate(self, recording_id: str, metadata: Mapping[str, Any]) -> Plain:
        """Merge keys into a recording's metadata (None removes one) and return the recording."""
        ...

    def mark(self, recording_id: str, body: Mapping[str, Any], by: str = "") -> Plain:
        """Add a `mark` event to a recording, running or ended, and return it.

        A `time_ns` in the body, the moment that was meant, becomes the event's.
        """
        ...

    def delete(self, recording_id: str) -> None:
        """Delete an ended recording with all its files.

        Raises:
            Conflict: it is still running.
        """
        ...

    def events(self, limit: int = 100) -> list[Plain]:
        """Return the station's newest events, newest first."""
        ...

    def latest(self, stream: str) -> Plain | None:
        """Return the newest row as `stream epoch seq time_ns values{channel: value}`, None if none."""
        ...

    def history(self, stream: str, since: Cursor | None = None, rows_max: int = 0) -> Sequence[Block]:
        """Return what the ring holds of a stream from a cursor on, or all of it.

        At most `rows_max` rows unless that is 0: from a cursor on the first ones, otherwise the newest.
        """
        ...

    def window(
        self, stream: str, channels: Sequence[str], start_ns: int, stop_ns: int
    ) -> tuple[Times, list[Column]]:
        """Return times and the named channels' values between two times, as far as the ring holds them."""
        ...

    def subscribe(self, streams: Sequence[str], sink: BlockSink) -> Subscription:
        """Hand every block of these streams to a sink from now on; called from another thread."""
        ...

    def on_event(self, callback: Callable[[Plain], None]) -> Subscription:
        """Call back with every event of the station from now on; called from another thread."""
        ...
