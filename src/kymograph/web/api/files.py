"""`/v1/recordings/{id}/files` and what can be said of them: manifest, segments, completeness.

This is how a mirror takes a recording away as it is, sealed files and open journals alike. A sealed file's
entity tag is its SHA-256; a journal's is the salt drawn when it was begun, so that a range of a journal that
grew is known to be of the same one.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import NotFound
from kymograph.model.limits import NAME_CHARS_MAX
from kymograph.service.keys import READ
from kymograph.web.api.answers import problems
from kymograph.web.api.file_models import FileOut, LedgerOut, ManifestOut, SegmentOut
from kymograph.web.api.models import Page
from kymograph.web.auth import needs
from kymograph.web.front import FrontDep
from kymograph.web.ranges import file_response
from kymograph.web.streaming import attachment

router = APIRouter(prefix="/v1/recordings", tags=["recordings"])

_BYTES: Final = "application/octet-stream"
Id = Annotated[str, Path(max_length=NAME_CHARS_MAX, description="The recording's `id`.")]


@router.get(
    "/{id}/manifest",
    responses={**problems(404), 200: {"model": ManifestOut}},
    response_class=Response,
    dependencies=[needs(READ)],
)
def manifest(front: FrontDep, request: Request, id: Id) -> Response:
    """Return which sealed files there are now; with an entity tag, as it is asked for often."""
    file = front.archive.file(id, "manifest.json")
    return file_response(file.path, file.tag, "application/json", request.headers, {})


@router.get(
    "/{id}/segments", response_model=Page[SegmentOut], responses=problems(404), dependencies=[needs(READ)]
)
def segments(front: FrontDep, id: Id) -> dict[str, Any]:
    """Return the sealed files with their sizes, hashes and times."""
    return {"items": front.archive.segments(id), "next": None}


@router.head("/{id}/segments/{filename:path}", dependencies=[needs(READ)], include_in_schema=False)
@router.get(
    "/{id}/segments/{filename:path}",
    responses=problems(404, 416),
    response_class=Response,
    dependencies=[needs(READ)],
)
def segment(front: FrontDep, request: Request, id: Id, filename: str) -> Response:
    """Return a sealed file, or a range of it; its entity tag is its SHA-256."""
    file = front.archive.file(id, filename)
    if file.kind != "sealed":
        raise NotFound("the recording has no segment of that name", hint="read its manifest again")
    return file_response(file.path, file.tag, _BYTES, request.headers, attachment(filename))


@router.get("/{id}/files", response_model=Page[FileOut], responses=problems(404), dependencies=[needs(READ)])
def files(
    front: FrontDep,
    id: Id,
    without: Annotated[Literal["", "sealed"], Query(description="Leave the sealed files out.")] = "",
) -> dict[str, Any]:
    """Return every file of a recording: sealed, journals, events, descriptions, attachments."""
    return {"items": front.archive.files(id, sealed=without != "sealed"), "next": None}


@router.head("/{id}/files/{filename:path}", dependencies=[needs(READ)], include_in_schema=False)
@router.get(
    "/{id}/files/{filename:path}",
    responses=problems(404, 416),
    response_class=Response,
    dependencies=[needs(READ)],
)
def file(front: FrontDep, request: Request, id: Id, filename: str) -> Response:
    """Return a file of a recording as it is now, or a range of it."""
    found = front.archive.file(id, filename)
    return file_response(found.path, found.tag, _BYTES, request.headers, attachment(filename))


@router.get(
    "/{id}/completeness", response_model=LedgerOut, responses=problems(404), dependencies=[needs(READ)]
)
def completeness(
    front: FrontDep,
    id: Id,
    verify: Annotated[bool, Query(description="Read and hash what was not hashed yet.")] = False,
    files: Annotated[bool, Query(description="List each file; false where there may be thousands.")] = True,
) -> dict[str, Any]:
    """Return what is expected, held and verified of a recording, and which rows are missing and why."""
    return front.archive.completeness(id, verify, files)


@router.get("/{id}/verify", responses=problems(404), dependencies=[needs(READ)])
def verify(front: FrontDep, id: Id) -> dict[str, Any]:
    """Check hashes, frames and sequence, and say exactly what is missing."""
    return front.archive.verify(id)
