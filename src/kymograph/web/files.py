"""The front's own files: the dashboard at `/` and `/ui`, the page of the interface at `/docs`.

They come with the program and never from another computer. Which files there are is read once, at the start:
a path that is asked for is looked up in that table, so none can lead out of it.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from kymograph.model.errors import NotFound
from kymograph.web.auth import PUBLIC, needs

_HERE: Final = Path(__file__).parent
_TYPES: Final[Mapping[str, str]] = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    "": "text/plain; charset=utf-8",
}
_NO_DASHBOARD: Final = (
    "<!doctype html><title>Kymograph</title><p>This installation has no dashboard. "
    '<a href="docs">The interface</a> works.'
)


class _File(NamedTuple):
    content: bytes
    media_type: str
    etag: str


def _load(folder: Path) -> dict[str, _File]:
    found: dict[str, _File] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith((".", "__")) or path.suffix in (".py", ".pyc"):
            continue
        guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        content = path.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        found[path.relative_to(folder).as_posix()] = _File(content, _TYPES.get(path.suffix, guessed), tag)
    return found


def _answer(file: _File, request: Headers) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if file.etag in request.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, 200, headers, file.media_type)


def files_router(ui: Path = _HERE / "ui", assets: Path = _HERE / "assets") -> APIRouter:
    """Return the routes of these files."""
    router = APIRouter(include_in_schema=False)
    dashboard, own = _load(ui), _load(assets)

    @router.api_route("/", methods=["GET", "HEAD"], dependencies=[needs(PUBLIC)])
    async def index(request: Request) -> Response:
        if "index.html" not in dashboard:
            return HTMLResponse(_NO_DASHBOARD)
        return _answer(dashboard["index.html"], request.headers)

    @router.api_route("/ui/{path:path}", methods=["GET", "HEAD"], dependencies=[needs(PUBLIC)])
    async def part(request: Request, path: str) -> Response:
        if path not in dashboard:
            raise NotFound("the dashboard has no such file")
        return _answer(dashboard[path], request.headers)

    @router.api_route("/docs", methods=["GET", "HEAD"], dependencies=[needs(PUBLIC)])
    async def docs(request: Request) -> Response:
        return _answer(own["docs.html"], request.headers)

    @router.api_route("/docs/{path:path}", methods=["GET", "HEAD"], dependencies=[needs(PUBLIC)])
    async def docs_part(request: Request, path: str) -> Response:
        if path not in own:
            raise NotFound("there is no such file")
        return _answer(own[path], request.headers)

    @router.api_route("/favicon.ico", methods=["GET", "HEAD"], dependencies=[needs(PUBLIC)])
    async def icon(request: Request) -> Response:
        if "favicon.svg" not in dashboard:
            raise NotFound("there is no such file")
        return _answer(dashboard["favicon.svg"], request.headers)

    return router
