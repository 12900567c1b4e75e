"""What all tables of the station file share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from kymograph.model.errors import KymographError
from kymograph.model.names import safe_name


def _name(value: str) -> str:
    try:
        return safe_name(value)
    except KymographError as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, AfterValidator(_name)]


def split_words(value: object) -> object:
    """Take text with commas for a list: an environment variable cannot be one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(split_words)]
"""A list of words, also as one text with commas."""


class Table(BaseModel):
    """A table of the station file: no key that is not known, nothing changed once it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
