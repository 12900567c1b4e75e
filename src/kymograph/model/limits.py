"""Every bound of the house, with its unit and its reason. A limit on everything, in one place."""

from __future__ import annotations

from typing import Final

# Names and text -------------------------------------------------------------------------------------------
NAME_CHARS_MAX: Final = 128
"""Characters in a name that may become part of a path; ext4 allows 255 bytes for a whole file name."""
METADATA_BYTES_MAX: Final = 64 * 1024
"""JSON bytes of the metadata of one recording or the body of one event: notes, not data."""

# Blocks ---------------------------------------------------------------------------------------------------
CHANNELS_MAX: Final = 1024
"""Channels in one stream: what a frame header can describe and a page can list."""
BLOCK_ROWS_MAX: Final = 65_536
"""Rows in one block; a driver cuts longer reads. At 100 kHz this is 0.65 s, far above the read interval."""
BLOCK_BYTES_MAX: Final = 16 * 1024 * 1024
"""Payload bytes in one block: a length field above this is damage, not data."""

# Queues ---------------------------------------------------------------------------------------------------
RECORDER_QUEUE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes waiting for the disk: 60 s at 10 kHz of 24 float32 channels, longer than any SD card stalls."""
LINK_QUEUE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes waiting for one front: 15 s at 10 kHz of 24 channels, longer than a front takes to start again."""
CLIENT_QUEUE_MESSAGES_MAX: Final = 64
"""Messages waiting for one live client; beyond, its own oldest go and it is told how many."""
CLIENT_QUEUE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes waiting for one live client, whichever bound is met first."""
COMMANDS_WAITING_MAX: Final = 16
"""Commands waiting for one instrument's thread: a person does not queue more, a fault does."""

# Time -----------------------------------------------------------------------------------------------------
FLUSH_INTERVAL_S_MIN: Final = 0.1
"""Shortest time between two fdatasync: shorter wears out an SD card."""
FLUSH_INTERVAL_S_MAX: Final = 60.0
"""Longest time between two fdatasync: more would be more loss than anybody expects."""
SEGMENT_INTERVAL_S_MIN: Final = 1.0
"""Shortest segment: each one is a file with its own fsyncs."""
SEGMENT_BYTES_MAX: Final = 512 * 1024 * 1024
"""Journal bytes at which a segment closes, whatever its interval: bounds recovery time after a crash."""
REOPEN_BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Waits between attempts to open a device that failed; the last repeats."""
COMMAND_TIMEOUT_S: Final = 30.0
"""How long a caller waits for a device's thread: longer than the slowest configuration dialogue."""
LINK_CALL_TIMEOUT_S: Final = 35.0
"""How long the front waits for the engine: COMMAND_TIMEOUT_S and what the link adds."""
SHUTDOWN_S_MAX: Final = 10.0
"""From SIGTERM to exit with everything sealed; systemd's default patience is 90 s, a person's is less."""

# Disk -----------------------------------------------------------------------------------------------------
DISK_RESERVE_BYTES: Final = 8 * 1024 * 1024
"""A file kept to be deleted when the disk is full, so that what is open can be closed cleanly."""
JOURNAL_PREALLOCATE_BYTES: Final = 4 * 1024 * 1024
"""Step in which a journal's space is claimed, so that a full disk is met here and not in mid-frame."""
JOURNAL_HEAD_BYTES_MAX: Final = 1024 * 1024
"""JSON bytes of a journal's first frame: CHANNELS_MAX channels with long descriptions."""
JOURNAL_UNSYNCED_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of one recording kept in memory until they are durable; beyond, fdatasync comes early."""
DISK_LOW_BYTES: Final = 256 * 1024 * 1024
"""Free space below which the disk counts as low: some minutes to act at 10 kHz of 24 channels."""
SEAL_TRIES_MAX: Final = 3
"""How often a journal is given to a worker that dies of it, before it is left for the next start."""
SEAL_SILENCE_S_MAX: Final = 300.0
"""How long a worker that seals may give no sign of life before it is killed: an fsync of SEGMENT_BYTES_MAX
on a slow SD card."""
GAP_EVENTS_PER_S_MAX: Final = 8
"""Gap events of one recording in a second; a device that loses more has them told as one."""
PRE_TRIGGER_S_MAX: Final = 86_400.0
"""How far back a recording may be asked to begin; a ring holds less."""
RECORDINGS_BESIDE_MAX: Final = 8
"""Recordings by triggers and of the past at one time: each writes the same rows once more."""
POST_TRIGGER_S_MAX: Final = 86_400.0
"""How long a trigger records after its condition became true."""
TRIGGERS_MAX: Final = 64
"""Triggers of one station; each is asked with every block."""

# Network --------------------------------------------------------------------------------------------------
REQUEST_BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one HTTP request body."""
CONNECTIONS_MAX: Final = 256
"""HTTP and WebSocket connections at one time; a small computer serves a laboratory, not the world."""
PAGE_ITEMS_MAX: Final = 1000
"""Items in one page of a listing."""
POINTS_MAX: Final = 20_000
"""Points of a reduced view: five times the pixels of a wall display."""
REQUEST_HEADERS_S_MAX: Final = 10.0
"""From the first byte of a request to the end of its headers; slower is no client of ours."""
REQUEST_BODY_SILENCE_S_MAX: Final = 20.0
"""Silence in the middle of a request's body, after which it is given up."""
KEYS_MAX: Final = 256
"""Keys of one station: more are forgotten, not used."""
KEYS_WRONG_MAX: Final = 10
"""Wrong keys from one address in a minute; beyond, it is told to wait (a right key is always taken)."""
ADDRESSES_WATCHED_MAX: Final = 1024
"""Addresses whose wrong keys are counted; the longest quiet one is forgotten."""
SESSION_S_MAX: Final = 30 * 24 * 3600
"""Life of a browser's session: a wall display should not ask for its key more than monthly."""
IDEMPOTENCY_KEYS_MAX: Final = 512
"""Answers remembered for a repeated Idempotency-Key; the oldest are forgotten."""
EXPORT_WORKERS_MAX: Final = 2
"""Processes that make exports at one time: each takes a core and 100 MB of a small computer."""
EXPORT_WAIT_S_MAX: Final = 30.0
"""How long an export waits for one of them to be free."""
VIEW_WAIT_S_MAX: Final = 30.0
"""How long a view of a recording waits for those that were asked for before it."""

# Live -----------------------------------------------------------------------------------------------------
LIVE_MESSAGE_BYTES_MAX: Final = 64 * 1024
"""Bytes of one message from a live client: requests, not data."""
LIVE_HELLO_S_MAX: Final = 5.0
"""From the opening of a live connection to its hello."""
LIVE_SEND_S_MAX: Final = 10.0
"""How long one message may wait for the client's machine to take it, before the client counts as gone."""
LIVE_ERRORS_MAX: Final = 20
"""Messages of one live client that made no sense, before it is closed."""
LIVE_SUBSCRIPTIONS_MAX: Final = 64
"""Subscriptions of one live client."""
LIVE_RATE_HZ_MAX: Final = 1000.0
"""Messages a second that a subscription may ask for."""
LIVE_WAITING_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of blocks between the link's thread and the event loop: LINK_QUEUE_BYTES_MAX once more."""
LIVE_UNSENT_BYTES_MAX: Final = 128 * 1024
"""Bytes that the kernel takes for one live client and has not sent yet: what waits there cannot be let go any
more, and is old when it comes. Its own measure, megabytes, would be seconds."""
LIVE_MERGE_BYTES_MAX: Final = 512 * 1024
"""Bytes of rows gathered into one message of a raw view with a limited rate, before it goes early."""

# Links ----------------------------------------------------------------------------------------------------
LINK_LOAD_MAX: Final = 0.9
"""Share of a link's capacity that a configured rate may take; above it, the first hiccup loses data."""
PORT_READ_BYTES_MAX: Final = 65_536
"""Bytes taken from a port at once: 1.3 s of the fastest lidar, and never more than BLOCK_ROWS_MAX rows."""
LINE_BYTES_MAX: Final = 4096
"""Bytes of one text line from a device; more without an end of line is noise."""
CATCH_UP_S_MAX: Final = 2.0
"""How far back a signal generator makes rows that were due; beyond, they are reported as missing."""
ATTACHMENTS_MAX: Final = 16
"""Files that may be put beside a recording as it begins: calibration, notes, what a client keeps there."""
ATTACHMENT_BYTES_MAX: Final = 262_144
"""Of one: they are written while the caller waits for the recording to begin."""

# Control --------------------------------------------------------------------------------------------------
EXPRESSION_CHARS_MAX: Final = 1000
"""Characters of one expression: a condition that a person can still read."""
EXPRESSION_DEPTH_MAX: Final = 64
"""Operations inside one another in an expression; each takes a call when it is evaluated."""
LEASE_S_MIN: Final = 0.5
"""Shortest life of a lease: below, a renewal over a busy network comes too late."""
LEASE_S_MAX: Final = 3600.0
"""Longest life of a lease that nobody renews: a forgotten tablet does not hold a stand for a day."""
HOLDER_CHARS_MAX: Final = 128
"""Characters in the name of one who holds control."""
ARMED_S_MAX: Final = 60.0
"""How long an armed command waits for its execution: longer, and who armed it has turned away."""
STOP_RESET_S_MAX: Final = 30.0
"""From the first step of resetting a stop to the second."""
COMMANDS_KEPT_MAX: Final = 1024
"""Ended commands that are remembered for a repeated idempotency key; the oldest are forgotten."""
COMMAND_LATE_S: Final = 2.0
"""How long a command may wait to be sent unless its giver says otherwise: a person has moved on by then."""
COMMAND_LATE_S_MIN: Final = 0.01
"""Shortest time that its giver may ask for: below, it is late before the device's thread has looked."""
COMMAND_LATE_S_MAX: Final = LINK_CALL_TIMEOUT_S - COMMAND_TIMEOUT_S
"""Longest: with the time of an answer after it, as long as the front waits for the engine."""
AUDIT_BREAKS_MAX: Final = 100
"""Breaks of an audit that are listed; more say nothing new."""
SEQUENCE_STEPS_MAX: Final = 10_000
"""Steps of a sequence with all its repetitions: its whole timeline can be printed, and read."""
SEQUENCE_TIMES_MAX: Final = 10_000
"""Repetitions of one `repeat`."""
SEQUENCE_WAIT_S_MAX: Final = 86_400.0
"""Seconds of one wait or timeout: what takes longer than a day is several sequences."""
SEQUENCE_STEPS_AT_ONCE_MAX: Final = 1000
"""Steps that a run does without looking up; more wait for the next turn, so that an abort is heard."""
SEQUENCE_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one sequence file: more is no text that a person reads before it is run."""
SEQUENCES_MAX: Final = 200
"""Sequence files of one station that are listed."""
RUN_BLOCKS_MAX: Final = 256
"""Blocks that wait for a run to look at them: some seconds of one stream. Beyond, they are not looked at, and
a condition has to hold anew."""
RUN_EVENTS_PER_S_MAX: Final = 10
"""Steps of one run that are told in a second; each is an fsync. Changes of its state are always told."""
RUNS_LISTED_MAX: Final = 1000
"""Runs in one listing, newest first; their records stay."""

# Readings -------------------------------------------------------------------------------------------------
READINGS_WAITING_MAX: Final = 10_000
"""Readings that wait in memory for room on the disk: a week of one a minute, some megabytes."""
LOG_FILE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of a log file before it is put aside."""
LOG_FILES_MAX: Final = 5
"""Log files of one station: the one that grows and those put aside."""
GATHER_BYTES_MAX: Final = 256 * 1024
"""Bytes of the spool, or of an event log, that go into the database in one transaction."""

# Roll-ups -------------------------------------------------------------------------------------------------
ROLLED_FIELDS_MAX: Final = 512
"""Numbers of one device's readings that are rolled up in an hour: each is a row an hour for ever."""

# Hub ------------------------------------------------------------------------------------------------------
BATCH_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of one batch that a station ships, unpacked: 10 000 readings of three kilobytes."""
BATCH_ROWS_MAX: Final = 20_000
"""Rows of one batch, or of one bulk of readings: what one transaction takes within some seconds on a Pi."""
BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of all bodies that are on their way into one front: stations with slow links, many at a time."""
READING_BYTES_MAX: Final = 64 * 1024
"""JSON bytes of one reading's payload: a round of instruments, not a picture."""
OBJECT_BYTES_MAX: Final = 64 * 1024 * 1024 * 1024
"""Bytes of one sealed file that is shipped: a merged recording of a day at 10 kHz of 24 channels."""
UPLOADS_AT_ONCE_MAX: Final = 64
"""Uploads of one station that are under way; more are a fault there."""
UPLOAD_SILENCE_S_MAX: Final = 7 * 86_400.0
"""After so long a file that has come in part is given up: the station would begin anew."""
REJECTS_MAX: Final = 10_000
"""Batches of one station that are kept aside; beyond, it is asked to wait until somebody looks at them."""
BATCHES_KEPT_S: Final = 30 * 86_400.0
"""How long a batch is known by its hash; the rows of an older one are known by what they are."""
LEDGER_RANGES_MAX: Final = 1000
"""Missing ranges of one stream that are listed."""
STATION_KEYS_MAX: Final = 16
"""Keys of one station that are good at one time: the one in use, and those that will replace it."""
FUTURE_S_MAX: Final = 300.0
"""How far ahead of the hub's clock a reading may be dated and still count as a station's newest."""
INGEST_AT_ONCE_MAX: Final = 8
"""Batches that one front takes at one time; each holds its rows in memory, and a connection."""
