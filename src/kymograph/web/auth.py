"""Who is calling, and what for: one guard, one way in which a route says what it needs.

Every route declares its scope by `needs(...)`; `refuse_undeclared` stops the program from starting if one
does not, so that a forgotten check is a crash on the developer's table and not an open door.

    bound to                  without a key                  with a key (an unknown one: 401)
    loopback                  everything                     everything
    wider                     nothing                        what the key carries
    wider, open               read, record                   these, and what the key carries
    … and open_control        read, record, control          these, and what the key carries

Shipping to a hub (the scope `ship`) is apart from this: without a key nobody may, on loopback neither, unless
the hub is `open`. A station's own key is in the hub's database; it carries this scope, for that station only.

A key comes as `Authorization: Bearer kym_…`, as `X-API-Key: kym_…`, or as the cookie of a session that was
begun with it; for live streams in the hello. Never in a URL: URLs end in logs.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from kymograph.config import Config, WebTable
from kymograph.model.errors import Forbidden, KeyNeeded, TooMany
from kymograph.model.limits import ADDRESSES_WATCHED_MAX, KEYS_WRONG_MAX, SESSION_S_MAX
from kymograph.service.keys import ADMIN, CONTROL, READ, RECORD, SCOPES, SHIP, Key, KeyStore
from kymograph.web.origin import Origins, is_loopback

log = logging.getLogger(__name__)

PUBLIC: Final = "public"
"""What a route declares that anyone may use: the dashboard's files, and whether the process lives."""
COOKIE: Final = "kymograph_session"
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request, and what they may do. `name` is that of their key."""

    name: str
    scopes: frozenset[str]
    by_cookie: bool = False
    key: Key | None = None
    station: str | None = None
    """The station that their key is bound to: they may ship its rows, and nothing else."""

    def speaks_for(self, station: str) -> None:
        """Refuse the key of another station.

        Raises:
            Forbidden: it is one.
        """
        if self.station is not None and self.station != station:
            raise Forbidden(
                f"this is the key of the station {self.station}", hint="make one for this station",
                station=self.station,
            )  # fmt: skip

    def signs(self, by: str) -> str:
        """Return whom a request is from: the name of the key, else what the client calls itself."""
        return self.name if self.key is not None else by or self.name or "local"

    def require(self, scope: str) -> None:
        """Refuse whoever may not do this.

        Raises:
            KeyNeeded: nobody in particular; a key would help.
            Forbidden: their key does not carry the scope.
        """
        if scope in self.scopes or scope == PUBLIC:
            return
        if scope == SHIP and self.key is None and self.station is None:
            raise KeyNeeded("this needs the key of a station", hint="`kymograph hub keys make` makes one")
        if not self.name:
            raise KeyNeeded("this needs a key", hint="send Authorization: Bearer <key>", scope=scope)
        raise Forbidden(f"this needs a key with the scope {scope}", scope=scope, has=sorted(self.scopes))


class WrongKeys:
    """How often each address has shown a wrong key in the last minute; bounded, the quiet are forgotten."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now_s = monotonic_s
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def count(self, address: str) -> float:
        """Count one more and return for how many seconds the address should wait; 0 is not at all."""
        now = self._now_s()
        times = self._times.setdefault(address, deque(maxlen=KEYS_WRONG_MAX))
        self._times.move_to_end(address)
        if len(self._times) > ADDRESSES_WATCHED_MAX:
            self._times.popitem(last=False)
        if len(times) == KEYS_WRONG_MAX and now - times[0] < _MINUTE_S:
            return _MINUTE_S - (now - times[0])
        times.append(now)
        return 0.0


def anonymous(web: WebTable, open_hub: bool = False) -> Caller:
    """Return what someone without a key may do on this bind."""
    ship = frozenset({SHIP} if open_hub else ())
    if is_loopback(web.host):
        return Caller("local", frozenset(SCOPES) | ship)
    if not web.open:
        return Caller("", ship)
    return Caller("", frozenset({READ, RECORD} | ({CONTROL} if web.open_control else set[str]())) | ship)


class StationKeyring(Protocol):
    """Where the keys of stations are. Any thread may ask."""

    prefix: str
    """What the tokens of such keys begin with."""

    def station_of(self, token: str) -> str | None:
        """Return whose key this is, None if it is none that is good.

        Raises:
            Unavailable: it cannot be known now.
        """
        ...


class Guard:
    """Decides who a caller is. Methods are called on the event loop."""

    def __init__(
        self,
        web: WebTable,
        keys: KeyStore,
        monotonic_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
        open_hub: bool = False,
    ) -> None:
        self.origins = Origins(web.host, web.hosts, web.origins)
        self.anonymous = anonymous(web, open_hub)
        self.stations: StationKeyring | None = None
        """The keys of stations, on a hub."""
        self._keys = keys
        self._wall_s = wall_s
        self._wrong = WrongKeys(monotonic_s)

    async def identify(self, connection: HTTPConnection) -> Caller:
        """Return who sent a request; asks the hub's database if they show the key of a station.

        Raises:
            KeyNeeded, TooMany: they showed a key that is not known.
            Unavailable: the database is away.
        """
        token = _token(connection.headers)
        if self.stations is not None and token is not None and token.startswith(self.stations.prefix):
            station = await to_thread.run_sync(self.stations.station_of, token)
            if station is not None:
                return Caller(station, frozenset({SHIP}), station=station)
        return self.caller(connection)

    def caller(self, connection: HTTPConnection) -> Caller:
        """Return who sent a request, unless by the key of a station: see `identify`.

        Raises:
            KeyNeeded, TooMany: they showed a key that is not known.
        """
        headers = connection.headers
        token = _token(headers)
        if token is not None:
            return self.caller_with(token, _address(connection))
        key = self._of_session(connection.cookies.get(COOKIE, ""))
        if key is not None:
            return self._with(key, by_cookie=True)
        return self.anonymous

    def caller_with(self, token: str, address: str) -> Caller:
        """Return who holds this token; a right one is taken however many wrong ones came before it.

        Raises:
            KeyNeeded, TooMany: the token is not known.
        """
        key = self._keys.check(token)
        if key is not None:
            return self._with(key)
        wait_s = self._wrong.count(address)
        if wait_s:
            raise TooMany("too many wrong keys", retry_after_s=int(wait_s) + 1)
        raise KeyNeeded("that key is not known", hint="`kymograph key add` makes one")

    def _with(self, key: Key, by_cookie: bool = False) -> Caller:
        return Caller(key.name, key.granted | self.anonymous.scopes, by_cookie, key)

    def still_knows(self, caller: Caller) -> bool:
        """Return whether whoever came with a key would still be let in with it."""
        return caller.key is None or self._keys.find(caller.key.name) == caller.key

    def session(self, token: str, address: str) -> tuple[Caller, str]:
        """Return the holder of a token, and a cookie that stands for it until the key is removed.

        The cookie names the key and is signed with the key's hash, so that nothing has to be kept and a
        restart of the front logs nobody out.
        """
        caller = self.caller_with(token, address)
        until = str(int(self._wall_s()) + SESSION_S_MAX)
        key = caller.key
        assert key is not None
        return caller, f"{key.name}|{until}|{_signature(key, until)}"

    def _of_session(self, cookie: str) -> Key | None:
        name, _, rest = cookie.partition("|")
        until, _, signature = rest.partition("|")
        if not (until.isascii() and until.isdigit() and len(until) < 12) or int(until) < self._wall_s():
            return None
        key = self._keys.find(name)
        if key is None or not hmac.compare_digest(_signature(key, until).encode(), signature.encode()):
            return None
        return key

    def check_change(self, connection: HTTPConnection, caller: Caller) -> None:
        """Refuse a change of state that another site's page caused.

        Raises:
            Forbidden: another site, or a session's cookie in a request that no browser of ours would send.
        """
        self.origins.check_change(connection.headers)
        told = ("origin", "sec-fetch-site", "referer")
        if caller.by_cookie and not any(header in connection.headers for header in told):
            raise Forbidden("a session is for the dashboard only", hint="send the key in a header instead")


def _signature(key: Key, until: str) -> str:
    text = f"{key.name}|{until}".encode()
    return hmac.new(bytes.fromhex(key.sha256), text, hashlib.sha256).hexdigest()


def _token(headers: Headers) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("x-api-key")


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def guard_of(connection: HTTPConnection) -> Guard:
    """Return the guard of the application that a request came to."""
    return cast("Guard", connection.app.state.guard)


def needs(scope: str, *, changes: bool = False, in_hello: bool = False) -> Any:
    """Declare what a route needs: a scope, or `PUBLIC`. The one way to do it.

    `changes` marks a GET that changes state. `in_hello` leaves the refusal to the first message of a
    WebSocket, which carries the key. The dependency's value is the `Caller`.
    """
    if scope not in (*SCOPES, SHIP, PUBLIC):
        raise ValueError(scope)

    async def check(connection: HTTPConnection) -> Caller:
        guard = guard_of(connection)
        caller = await guard.identify(connection)
        if not in_hello:
            caller.require(scope)
        if changes or connection.scope.get("method", "GET") not in ("GET", "HEAD", "OPTIONS"):
            guard.check_change(connection, caller)
        return caller

    check.kymograph_scope = scope  # type: ignore[attr-defined]
    return Depends(check)


def declared_scopes(route: object) -> list[str]:
    """Return the scopes that a route declares; exactly one is right."""
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return []
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return [call.kymograph_scope for call in calls if hasattr(call, "kymograph_scope")]  # type: ignore[union-attr]


def refuse_undeclared(app: FastAPI) -> None:
    """Stop an application with a route that does not declare exactly one scope.

    Raises:
        RuntimeError: naming the routes.
    """
    wrong = [getattr(route, "path", route) for route in app.routes if len(declared_scopes(route)) != 1]
    if wrong:
        raise RuntimeError(f"routes without exactly one declared scope: {wrong}")


def ensure_first_key(config: Config, keys: KeyStore) -> str | None:
    """Make the first admin key if this bind needs keys and there is none; return its token, once."""
    web = config.web
    if not web.enabled or is_loopback(web.host) or keys.list():
        return None
    return keys.create("first", [ADMIN])


def scopes_of(names: Iterable[str]) -> list[str]:
    """Return scopes in their usual order."""
    given = set(names)
    return [scope for scope in SCOPES if scope in given]
