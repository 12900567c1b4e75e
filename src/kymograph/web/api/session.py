"""`/v1/session`: a browser shows its key once and has a cookie from then on.

The cookie is for pages of this station only: no script can read it, no other site's request carries it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.limits import SESSION_S_MAX
from kymograph.service.keys import SCOPES
from kymograph.web.api.answers import problems
from kymograph.web.api.models import SessionIn, SessionOut
from kymograph.web.auth import COOKIE, PUBLIC, Caller, needs, scopes_of
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1/session", tags=["session"])

CallerDep = Annotated[Caller, needs(PUBLIC)]


def _said(caller: Caller) -> dict[str, Any]:
    missing = set(SCOPES) - caller.scopes
    return {"name": caller.name, "scopes": scopes_of(caller.scopes), "key_needed": bool(missing)}


@router.get("", response_model=SessionOut, responses=problems())
async def session(caller: CallerDep) -> dict[str, Any]:
    """Return who the station takes the caller for, and what they may do."""
    return _said(caller)


@router.post("", response_model=SessionOut, responses=problems(), dependencies=[needs(PUBLIC)])
async def begin(front: FrontDep, request: Request, response: Response, wish: SessionIn) -> dict[str, Any]:
    """Begin a session with a key."""
    address = request.client.host if request.client else ""
    caller, cookie = front.guard.session(wish.key, address)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, cookie, max_age=SESSION_S_MAX, httponly=True, samesite="strict", secure=secure
    )
    return _said(caller)


@router.delete("", status_code=204, responses=problems(), dependencies=[needs(PUBLIC)])
async def end(response: Response) -> None:
    """End the session."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
