"""The command line: `kymograph serve`, `doctor`, `recordings` and the rest."""

import sys


def main() -> None:
    """Run the command that the arguments name, and leave with its exit code."""
    from kymograph.cli.app import run

    sys.exit(run(sys.argv[1:]))
