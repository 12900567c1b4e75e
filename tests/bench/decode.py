"""How fast lidar bytes become rows, beside a loop that takes one sample at a time."""

from __future__ import annotations

import math
import struct

import numpy as np

from kymograph.drivers.ydlidar_packets import PacketDecoder, SampleFormat
from tests.bench.table import Line, at_least, rate

PACKETS = 2000
SAMPLES = 40
READS = {"64 KiB": 65_536, "20 ms of a G6": 800}
"""Bytes that have arrived when the driver looks. The smaller the read, the more its fixed cost weighs."""


def wire() -> bytes:
    """Return two-byte triangle packets of 40 samples, a zero packet each 13."""
    rng = np.random.default_rng(1)
    out = bytearray()
    for i in range(PACKETS):
        count, ct = (1, 1) if i % 13 == 0 else (SAMPLES, 0)
        first = (int(rng.integers(0, 360 * 64)) << 1) | 1
        last = ((((first >> 1) + 32 * (count - 1)) % (360 * 64)) << 1) | 1
        words = rng.integers(400, 32000, count).astype("<u2")
        check = 0x55AA ^ (count << 8 | ct) ^ first ^ last ^ int(np.bitwise_xor.reduce(words))
        out += struct.pack("<HBBHHH", 0x55AA, ct, count, first, last, check) + words.tobytes()
    return bytes(out)


def one_by_one(data: bytes) -> int:
    """Decode as a plain reader does: a loop over packets, a loop over samples."""
    at, total = 0, 0
    rows: list[tuple[float, float]] = []
    while at + 10 <= len(data):
        mark, ct, count, first, last, check = struct.unpack_from("<HBBHHH", data, at)
        assert mark == 0x55AA
        start = (first >> 1) / 64.0
        step = (((last >> 1) / 64.0 - start) % 360.0) / (count - 1) if count > 1 else 0.0
        found = 0x55AA ^ (count << 8 | ct) ^ first ^ last
        packet: list[tuple[float, float]] = []
        for i in range(count):
            (word,) = struct.unpack_from("<H", data, at + 10 + 2 * i)
            found ^= word
            mm = word / 4.0
            turn = math.degrees(math.atan(21.8 * (155.3 - mm) / (155.3 * mm))) if mm else 0.0
            packet.append((mm / 1000.0, (start + step * i + turn) % 360.0))
        if found == check:
            rows += packet
            total += count
        at += 10 + 2 * count
    return total


def run() -> list[Line]:
    data = wire()
    samples = one_by_one(data)
    plain = rate(samples, lambda: one_by_one(data), 3)

    def ours(read_bytes: int) -> None:
        decoder = PacketDecoder(SampleFormat(intensity_bits=0, mm_per_count=0.25, triangle=True))
        rest, total = b"", 0
        for start in range(0, len(data), read_bytes):
            rest += data[start : start + read_bytes]
            decoded = decoder.decode(rest)
            rest = rest[decoded.consumed :]
            total += len(decoded.distance)
        assert total == samples, (total, samples)

    whole, steady = (rate(samples, lambda b=b: ours(b), 5) for b in READS.values())
    peer = "a loop over samples"
    return [
        at_least("lidar samples decoded, reads of 64 KiB", whole, "samples/s", peer, plain, 10.0),
        Line("lidar samples decoded, reads of 20 ms (G6)", steady, "samples/s", peer, plain),
    ]
