"""Which hosts and origins are ours."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from kymograph.model.errors import Forbidden
from kymograph.web.origin import Origins, host_name, is_loopback

LOCAL = Origins("127.0.0.1", hosts=["pi.lab"], origins=["https://lab.example"])
WIDE = Origins("0.0.0.0", hosts=["pi.lab"])


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8000", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8000", "::1"),
        ("PI.lab.", "pi.lab"),
        ("user@localhost", ""),
        ("localhost/x", ""),
        ("localhost:port", ""),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_host_name(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9000", "127.0.0.1:8000", "[::1]:8000", "pi.lab:8000"]
)
def test_our_hosts(host: str) -> None:
    LOCAL.check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "0.0.0.0",
        "",
        None,
        "a@localhost",
    ],
)
def test_other_hosts_on_loopback(host: str | None) -> None:
    with pytest.raises(Forbidden):
        LOCAL.check_host(host)


def test_a_wide_bind_answers_to_addresses_but_not_to_names() -> None:
    WIDE.check_host("192.168.1.5:8000")
    WIDE.check_host("[fd00::5]:8000")
    WIDE.check_host("pi.lab")
    with pytest.raises(Forbidden):
        WIDE.check_host("evil.example")


def headers(**said: str) -> Headers:
    return Headers(
        {"host": "localhost:8000", **{key.replace("_", "-"): value for key, value in said.items()}}
    )


def test_our_pages_and_listed_ones_and_programs_may() -> None:
    for said in (
        headers(),
        headers(origin="http://localhost:8000"),
        headers(origin="https://localhost:8000"),
        headers(origin="https://lab.example"),
    ):
        LOCAL.check_change(said)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:3000",
        "http://localhost",
        "null",
        "",
        "file://",
        "https://lab.example.evil",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    with pytest.raises(Forbidden):
        LOCAL.check_origin(headers(origin=origin))


@pytest.mark.parametrize(
    "said",
    [
        headers(sec_fetch_site="cross-site"),
        headers(sec_fetch_site="same-site"),
        headers(referer="http://evil.example/page"),
        headers(referer="http://["),
    ],
)
def test_no_page_of_another_site_changes_anything(said: Headers) -> None:
    LOCAL.check_origin(said)
    with pytest.raises(Forbidden):
        LOCAL.check_change(said)


def test_typed_addresses_and_our_own_links_may_change() -> None:
    LOCAL.check_change(headers(sec_fetch_site="none"))
    LOCAL.check_change(headers(sec_fetch_site="same-origin"))
    LOCAL.check_change(headers(referer="http://localhost:8000/"))
    LOCAL.check_change(headers(origin="https://lab.example", sec_fetch_site="cross-site"))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("pi.lab", False),
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) == local
