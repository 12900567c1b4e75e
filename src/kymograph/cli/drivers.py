"""`kymograph drivers`: which instruments there are drivers for, and how each is configured."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from kymograph.drivers.base import Driver

EXAMPLES: Final = """\b
Examples:
  kymograph drivers
  kymograph drivers ydlidar
  kymograph drivers ydlidar --json"""


def drivers(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Show how this one is configured.")] = "",
    as_json: output.Json = False,
) -> None:
    """List the drivers, or show one driver's options, commands and an example."""
    from kymograph.drivers import registry

    if name:
        try:
            kind = registry.find(name)
        except ConfigError as error:
            raise NotFound(error.message, hint=error.hint) from None
        _show(name, kind, as_json)
        return
    items = [{"name": n, "description": _headline(registry.find(n))} for n in registry.names()]
    if as_json:
        output.emit({"items": items, "next": None})
    else:
        output.table(("driver", "for"), [(item["name"], item["description"]) for item in items])


def _module_text(kind: type[Driver[Any]]) -> str:
    return inspect.cleandoc(sys.modules[kind.__module__].__doc__ or kind.__doc__ or "")


def _headline(kind: type[Driver[Any]]) -> str:
    return _module_text(kind).partition("\n\n")[0].replace("\n", " ")


def _show(name: str, kind: type[Driver[Any]], as_json: bool) -> None:
    from kymograph.drivers import registry

    schema = kind.Options.model_json_schema()
    commands = registry.describe_commands(kind)
    text = _module_text(kind)
    if as_json:
        output.emit({"name": name, "description": text, "options_schema": schema, "commands": commands})
        return
    output.say(text)
    output.say()
    rows = [
        (key, _type(value, schema), _default(value), value.get("description", "").replace("\n", " "))
        for key, value in schema.get("properties", {}).items()
    ]
    if rows:
        output.table(("option", "type", "default", ""), rows)
    for command in commands:
        arguments: dict[str, Any] = command["arguments"]["properties"]
        given = ", ".join(f"{key}: {_type(value, {})}" for key, value in arguments.items())
        output.say(f"\ncommand {command['name']}({given})\n  {command['description']}")


def _default(value: dict[str, Any]) -> str:
    if "default" not in value:
        return "required"
    default = value["default"]
    return "none" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _type(value: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in value:
        return _type(schema["$defs"][value["$ref"].rpartition("/")[2]], schema)
    if "enum" in value:
        return " | ".join(str(choice) for choice in value["enum"])
    if "const" in value:
        return str(value["const"])
    if "anyOf" in value:
        return " | ".join(_type(choice, schema) for choice in value["anyOf"])
    bounds = [str(value[key]) for key in ("minimum", "maximum") if key in value]
    kind = str(value.get("type", "any")).replace("null", "none")
    return f"{kind} {'…'.join(bounds)}" if len(bounds) == 2 else kind


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command(epilog=EXAMPLES, short_help="List drivers, or explain one.")(drivers)
