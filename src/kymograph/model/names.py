"""The one function that decides which names from outside may become part of a path."""

from __future__ import annotations

import re
from typing import Final

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import NAME_CHARS_MAX

_SAFE: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_CHARS_MAX}}}")


def safe_name(name: object, what: str = "name") -> str:
    """Return `name` unchanged if it may become part of a path.

    Allowed are 1 to 128 characters of `A-Z a-z 0-9 . _ -`, not starting with a dot, so that neither `..`
    nor a hidden file can be named. `what` is the word for it in the error.

    Raises:
        InvalidInput: with the reason.
    """
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"the {what} is missing or empty", hint="give 1 to 128 characters")
    if len(name) > NAME_CHARS_MAX:
        raise InvalidInput(f"the {what} is longer than {NAME_CHARS_MAX} characters", length=len(name))
    if name.startswith("."):
        raise InvalidInput(f"the {what} may not start with a dot")
    if _SAFE.fullmatch(name) is None:
        raise InvalidInput(
            f"the {what} has characters that are not allowed",
            hint="use letters, digits, dot, underscore and hyphen",
        )
    return name
