"""Which browsers' pages may talk to this station.

A web page open in an operator's browser is a stranger inside the house: it can send requests to
`http://127.0.0.1:8000` from any site. Three checks keep it out, with or without keys:

- **Host** must be a name of this station, or a page could rebind its own name to our address (DNS
  rebinding) and then count as same-origin.
- **Origin**, if sent, must be our own or a listed one: forms, scripts and WebSockets of other sites send
  theirs.
- **Sec-Fetch-Site** (else `Referer`), on whatever changes state, must not say that another site asked. This
  is the only guard of a GET that changes state: an `<img>` of another site sends no Origin.

A port in Host is not compared: a tunnel (`ssh -L 9000:localhost:8000`) changes it, and rebinding does not
need to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from kymograph.model.errors import Forbidden, KymographError

_ORIGIN: Final = re.compile(r"https?://[\w.\-\[\]:]+", re.ASCII)
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ASKED_BY_US: Final = ("same-origin", "none")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether only this computer can reach a bind to `host`."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def host_name(host_header: str) -> str:
    """Return the name or address of a Host header without port and brackets; "" if it is malformed."""
    try:
        parts = urlsplit(f"//{host_header}")
        _ = parts.port
    except ValueError:
        return ""
    if parts.path or parts.query or parts.fragment or "@" in host_header:
        return ""
    return (parts.hostname or "").rstrip(".")


class Origins:
    """The names of this station, and the further web origins whose pages may use it."""

    def __init__(self, bind: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._wide = not is_loopback(bind)
        names = {*LOCAL_HOSTS, bind.lower(), *(host.lower() for host in hosts)}
        if self._wide:
            own = socket.gethostname().lower()
            names |= {own, f"{own.partition('.')[0]}.local"}
        self._hosts = frozenset(names)
        self._listed = frozenset(origin.lower().rstrip("/") for origin in origins)

    def all_listed(self) -> list[str]:
        """Return the origins that the configuration names, as far as they are such."""
        return sorted(origin for origin in self._listed if _ORIGIN.fullmatch(origin))

    def listed(self, origin: str) -> bool:
        """Return whether the configuration names this origin."""
        return origin.lower() in self._listed

    def check_host(self, header: str | None) -> None:
        """Refuse a request under a name that is not ours.

        On a wide bind any address is ours: rebinding needs a name.

        Raises:
            Forbidden: with what to configure.
        """
        name = host_name(header or "")
        if name in self._hosts or (self._wide and _address(name) is not None):
            return
        raise Forbidden(
            "this station does not answer to that host name",
            hint="add the name to hosts in [web] of the station file",
            host=(header or "")[:128],
        )

    def check_origin(self, headers: Headers) -> None:
        """Refuse a request that a page of another site sent.

        Raises:
            Forbidden: with what to configure.
        """
        origin = headers.get("origin")
        if origin is None or self._same(origin, headers) or self.listed(origin):
            return
        raise self._refusal(origin)

    def check_change(self, headers: Headers) -> None:
        """Refuse a change of state that another site caused, whatever its method.

        Raises:
            Forbidden: with what to configure.
        """
        self.check_origin(headers)
        if self.listed(headers.get("origin", "")):
            return
        site = headers.get("sec-fetch-site")
        if site is not None:
            if site not in _ASKED_BY_US:
                raise self._refusal(site)
            return
        referer = headers.get("referer")
        if referer is not None and not self._same(referer, headers):
            raise self._refusal("another page")

    @staticmethod
    def _same(url: str, headers: Headers) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == headers.get("host", "").lower()

    @staticmethod
    def _refusal(who: str) -> KymographError:
        return Forbidden(
            "a page of another site may not do this",
            hint="add its origin to origins in [web] of the station file if it should",
            origin=who[:128],
        )
