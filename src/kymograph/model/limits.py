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

# Network --------------------------------------------------------------------------------------------------
REQUEST_BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one HTTP request body."""
CONNECTIONS_MAX: Final = 256
"""HTTP and WebSocket connections at one time; a small computer serves a laboratory, not the world."""
PAGE_ITEMS_MAX: Final = 1000
"""Items in one page of a listing."""
POINTS_MAX: Final = 20_000
"""Points of a reduced view: five times the pixels of a wall display."""

# Links ----------------------------------------------------------------------------------------------------
LINK_LOAD_MAX: Final = 0.9
"""Share of a link's capacity that a configured rate may take; above it, the first hiccup loses data."""
