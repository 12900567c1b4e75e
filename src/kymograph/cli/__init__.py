"""The command line: `kymograph serve`, `record`, `verify` and the rest."""


def main() -> None:
    """Run the command that the arguments name."""
    from kymograph.cli.app import app

    app()
