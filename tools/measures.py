"""Fail where a room has grown too large: long files and functions, many parameters, deep nesting.

Counted in `src`: lines of a file, of the page's scripts and styles too; lines of a function from `def` to its
end (docstring included), parameters without `self` and `cls`, and blocks within blocks inside a function. A
file of constants is a file too; what others have written is not counted.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

FILE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 50
PARAMETERS_MAX: Final = 6
NESTING_MAX: Final = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS: Final = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)
SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
SUFFIXES: Final = (".py", ".js", ".css")
VENDOR: Final = "vendor"
"""Folder of what others have written."""
OUTER: Final = ("command", "get", "post", "put", "patch", "delete")
"""Decorators of functions that nobody here calls: commands and routes."""


class Finding(NamedTuple):
    """One measure that is exceeded."""

    path: Path
    line: int
    text: str


def parameters(function: Function) -> int:
    """Count what a caller can give."""
    a = function.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs]
    own = bool(named) and named[0].arg in ("self", "cls")
    return len(named) - own + (a.vararg is not None) + (a.kwarg is not None)


def _is_outer(function: Function) -> bool:
    # The options of a command and the parameters of a request come by name, from a person or the network.
    return any(
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr in OUTER
        for decorator in function.decorator_list
    )


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Return how deep blocks lie within blocks; `elif` is as deep as its `if`."""
    deepest = depth
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, SCOPES):
                continue
            chained = isinstance(node, ast.If) and name == "orelse" and isinstance(child, ast.If)
            inner = depth + (isinstance(child, BLOCKS) and not (chained and len(value) == 1))
            deepest = max(deepest, nesting(child, inner))
    return deepest


def measure(path: Path) -> Iterator[Finding]:
    """Yield every measure that a file exceeds."""
    text = path.read_text("utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield Finding(path, 1, f"{lines} lines, at most {FILE_LINES_MAX}: split it by noun")
    if path.suffix == ".py":
        yield from measure_functions(path, text)


def measure_functions(path: Path, text: str) -> Iterator[Finding]:
    """Yield every measure that a function in a file exceeds."""
    for node in ast.walk(ast.parse(text, str(path))):
        if not isinstance(node, Function):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES_MAX:
            yield Finding(path, node.lineno, f"{node.name} has {length} lines, at most {FUNCTION_LINES_MAX}")
        given = parameters(node)
        if given > PARAMETERS_MAX and not _is_outer(node):
            yield Finding(
                path, node.lineno, f"{node.name} takes {given} parameters, at most {PARAMETERS_MAX}"
            )
        deep = nesting(node)
        if deep > NESTING_MAX:
            yield Finding(path, node.lineno, f"{node.name} nests {deep} deep, at most {NESTING_MAX}")


def main(arguments: list[str]) -> int:
    """Measure the folders that are named, `src` by default; return 1 if anything is too large."""
    roots = [Path(a) for a in arguments] or [Path(__file__).parent.parent / "src"]
    files = [path for root in roots for path in sorted(root.rglob("*")) if path.suffix in SUFFIXES]
    findings = [found for path in files if VENDOR not in path.parts for found in measure(path)]
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.text}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
