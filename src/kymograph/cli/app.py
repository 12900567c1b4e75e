"""The tree of commands."""

import typer

app = typer.Typer(name="kymograph", no_args_is_help=True)
