"""The door: what is refused to whom, on every route there is."""

from __future__ import annotations

from typing import Any

import pytest

from kymograph.service.keys import ADMIN, CONTROL, READ, RECORD
from kymograph.web.auth import PUBLIC, declared_scopes, refuse_undeclared
from tests.unit.web.house import House

NAME = "x"


def paths(app: Any) -> list[tuple[str, str]]:
    """Return every method and path of an application, filled in."""
    found: list[tuple[str, str]] = []
    for route in app.routes:
        path = route.path.replace(":path}", "}")
        for part in ("{name}", "{id}", "{filename}", "{path}", "{command}"):
            path = path.replace(part, NAME)
        path = path.replace("{action}", "start")
        found += [(method, path) for method in sorted(getattr(route, "methods", None) or {"WEBSOCKET"})]
    return found


def test_every_route_declares_exactly_one_scope(house: House) -> None:
    for route in house.app(faces=[]).routes:
        assert len(declared_scopes(route)) == 1, route.path


def test_a_route_without_a_scope_stops_the_program(house: House) -> None:
    app = house.app()

    @app.get("/forgotten")
    def forgotten() -> str:
        return ""

    with pytest.raises(RuntimeError, match="forgotten"):
        refuse_undeclared(app)


def test_without_a_key_every_route_is_refused_but_the_public_ones(house: House) -> None:
    app = house.app(host="0.0.0.0")
    public = {path for route in app.routes if declared_scopes(route) == [PUBLIC] for path in [route.path]}
    assert public == {
        "/", "/ui/{path:path}", "/docs", "/docs/{path:path}", "/favicon.ico", "/openapi.json", "/healthz",
        "/readyz", "/v1/session",
    }  # fmt: skip
    closed = [(m, p) for m, p in paths(app) if m != "WEBSOCKET" and not _is_public(app, m, p)]
    assert len(closed) >= 28
    for method, path in closed:
        answer = house.ask(method, path, app, json={})
        assert answer.status_code == 401, (method, path, answer.status_code)
        assert answer.headers["www-authenticate"] == "Bearer"


def _is_public(app: Any, method: str, path: str) -> bool:
    for route in app.routes:
        if method in (getattr(route, "methods", None) or ()) and route.path_regex.match(path):
            return declared_scopes(route) == [PUBLIC]
    return False


@pytest.mark.parametrize("weak", [READ, RECORD, CONTROL])
def test_a_key_opens_what_it_is_for_and_nothing_else(house: House, weak: str) -> None:
    token = house.keys.create(f"only-{weak}", [weak])
    app = house.app(host="0.0.0.0")
    granted = {READ, weak}
    for route in app.routes:
        (scope,) = declared_scopes(route)
        if scope == PUBLIC or not getattr(route, "methods", None) or scope in granted:
            continue
        for method in route.methods:
            path = paths_of(route)
            answer = house.ask(method, path, app, json={}, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 403, (method, path, answer.status_code)
            assert answer.json()["facts"]["scope"] == scope


def paths_of(route: Any) -> str:
    class _App:
        routes = (route,)

    return paths(_App)[0][1]


def test_open_stations_ask_for_a_key_only_where_it_matters(house: House) -> None:
    app = house.app(host="0.0.0.0", open=True)
    assert house.ask("GET", "/v1/station", app).status_code == 200
    assert house.ask("POST", "/v1/instruments/gen/start", app).status_code == 401
    assert house.ask("DELETE", f"/v1/recordings/{NAME}", app).status_code == 401
    controlled = house.app(host="0.0.0.0", open=True, open_control=True)
    assert house.ask("POST", "/v1/instruments/gen/start", controlled).status_code == 200
    assert house.ask("DELETE", f"/v1/recordings/{NAME}", controlled).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_hosts_and_pages_are_refused_everywhere(house: House, method: str) -> None:
    app = house.app()
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}):
        for _, path in paths(app):
            answer = house.ask(method, path, app, headers=headers)
            assert answer.status_code == 403, path
            assert answer.json()["code"] == "forbidden"


def test_no_form_of_another_site_changes_anything(house: House) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert house.ask("POST", "/v1/recordings", json={"name": "evil"}, headers=headers).status_code == 403
    assert house.ask("GET", "/v1/station", headers=headers).status_code == 200


def test_a_listed_origin_may_and_its_browser_is_told(house: House) -> None:
    app = house.app(origins=["https://lab.example"])
    headers = {"origin": "https://lab.example", "access-control-request-method": "POST"}
    preflight = house.ask("OPTIONS", "/v1/recordings", app, headers=headers)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://lab.example"
    answer = house.ask("GET", "/v1/station", app, headers={"origin": "https://lab.example"})
    assert answer.headers["access-control-allow-origin"] == "https://lab.example"
    assert "access-control-allow-credentials" not in answer.headers


def test_every_answer_has_the_headers_that_bind_a_browser(house: House) -> None:
    for method, path in (("GET", "/"), ("GET", "/nope"), ("GET", "/v1/station"), ("POST", "/v1/recordings")):
        headers = house.ask(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


def test_a_session_is_a_cookie_that_no_script_can_read(house: House) -> None:
    token = house.keys.create("wall", [READ])
    app = house.app(host="0.0.0.0")
    assert house.ask("GET", "/v1/session", app).json() == {"name": "", "scopes": [], "key_needed": True}
    begun = house.ask("POST", "/v1/session", app, json={"key": token})
    assert begun.status_code == 200 and begun.json()["name"] == "wall"
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and token not in cookie
    said = {"cookie": cookie.partition(";")[0]}
    assert house.ask("GET", "/v1/station", app, headers=said).status_code == 200
    assert house.ask("POST", "/v1/session", app, json={"key": "kym_no"}).status_code == 401


def test_scopes_that_exist_are_all_used(house: House) -> None:
    used = {declared_scopes(route)[0] for route in house.app().routes}
    assert used == {PUBLIC, READ, RECORD, CONTROL, ADMIN}
