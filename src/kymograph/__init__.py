"""Kymograph: acquires from instruments, records without losing a row, streams live, controls safely."""

from typing import Final

__version__: Final = "0.1.0"
