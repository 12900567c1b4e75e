"""Scan packets made one byte at a time, and a decoder that goes sample by sample: the slow truth."""

import math
import struct


def packet(ct: int, fsa: int, lsa: int, body: bytes, size: int) -> bytes:
    count = len(body) // size
    check = 0x55AA ^ (count << 8 | ct) ^ fsa ^ lsa
    for i in range(0, len(body), size):
        if size == 3:
            check ^= body[i] ^ (body[i + 1] | body[i + 2] << 8)
        else:
            for j in range(0, size, 2):
                check ^= body[i + j] | body[i + j + 1] << 8
    return struct.pack("<5H", 0x55AA, count << 8 | ct, fsa, lsa, check) + body


def samples_one_by_one(data: bytes, mm_per_count: float, triangle: bool) -> list[tuple[float, float, int]]:
    """Decode 2-byte packets as the manual says, into (mm, degrees, scan)."""
    rows: list[tuple[float, float, int]] = []
    at, scan = 0, 0
    while (at := data.find(b"\xaa\x55", at)) >= 0 and at + 10 <= len(data):
        ct, count, fsa, lsa, check = struct.unpack_from("<BBHHH", data, at + 2)
        stop = at + 10 + 2 * count
        if stop > len(data):
            break
        words = struct.unpack_from(f"<{count}H", data, at + 10)
        total = 0x55AA ^ (count << 8 | ct) ^ fsa ^ lsa
        for word in words:
            total ^= word
        if total != check or count == 0 or count > 80 or not fsa & lsa & 1:
            at += 2
            continue
        scan += ct & 1
        first = (fsa >> 1) / 64
        span = ((lsa >> 1) / 64 - first) % 360
        for i, word in enumerate(words):
            mm = word * mm_per_count
            angle = first + (span / (count - 1) * i if count > 1 else 0)
            if triangle and word:
                angle += math.degrees(math.atan(21.8 * (155.3 - mm) / (155.3 * mm)))
            rows.append((mm, angle % 360, scan))
        at = stop
    return rows
