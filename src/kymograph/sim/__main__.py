"""`python -m kymograph.sim ydlidar --link PATH --model X4`: a simulated device on a pseudo-terminal.

Prints `ready PATH`. Lines on its input are faults: `unplug`, `replug`, `silence 3`, `drop 100` and the others
of `kymograph.sim.faults`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kymograph.model.errors import KymographError
from kymograph.sim import registry, run


def parser() -> argparse.ArgumentParser:
    """Return the command line; every `--name value` that it does not know is a parameter of the device."""
    made = argparse.ArgumentParser(prog="python -m kymograph.sim", description="Simulate a device.")
    made.add_argument("name", choices=registry.names())
    made.add_argument("--link", type=Path, help="path of the link to the pseudo-terminal")
    made.add_argument(
        "--tcp", metavar="HOST:PORT", help="listen there instead; port 0 lets the system choose"
    )
    made.add_argument("--until-eof", action="store_true", help="end with standard input")
    made.add_argument("--parent", type=int, metavar="PID", help="end when this is no longer the parent")
    return made


def main(arguments: list[str]) -> int:
    """Run the simulator that the arguments name; return an exit code."""
    made = parser()
    known, rest = made.parse_known_args(arguments)
    parameters: dict[str, str] = {}
    while rest:
        key, *rest = rest
        if not key.startswith("--") or not rest:
            made.error(f"{key}: write --parameter value")
        parameters[key[2:].replace("-", "_")], *rest = rest
    try:
        return run(
            known.name, parameters, link=known.link, tcp=known.tcp,
            until_eof=known.until_eof, parent_pid=known.parent,
        )  # fmt: skip
    except KymographError as error:
        made.error(str(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
