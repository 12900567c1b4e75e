"""Run the benchmark: `python -m tests.bench [NAME …] [--write docs/benchmarks.md]`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from tests.bench.table import HEAD, Line, machine, markdown

PREFACE = """# Benchmarks

`make bench` takes all of these in one run, the peers' beside ours, on the same machine and the same rows.
Ratios travel, absolute figures do not.
"""
ALL = (
    "decode",
    "saturate",
    "csv_export",
    "engine",
    "live",
    "ws",
    "mirror",
    "sensor",
    "control",
    "fast_path",
    "ingest",
    "ship",
    "rollups",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[], help=f"which of: {', '.join(ALL)}")
    parser.add_argument("--write", type=Path, help="also write the table into this file")
    chosen = parser.parse_args()
    lines: list[Line] = []
    for name in chosen.names or ALL:
        print(f"{name} …", file=sys.stderr, flush=True)
        lines += import_module(f"tests.bench.{name}").run()
    widths = [max(len(line.cells()[i]) for line in lines) for i in range(len(HEAD))]
    for cells in [HEAD, *(line.cells() for line in lines)]:
        print(
            "  ".join(
                cell.ljust(max(width, len(head)))
                for cell, width, head in zip(cells, widths, HEAD, strict=True)
            )
        )
    if chosen.write is not None:
        chosen.write.write_text(f"{PREFACE}\nMachine: {machine()}.\n\n{markdown(lines)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
