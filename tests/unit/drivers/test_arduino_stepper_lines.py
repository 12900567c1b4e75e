"""What the stepper board says, line by line, and how long it is deaf."""

from __future__ import annotations

import random

import pytest

from kymograph.drivers.arduino_stepper_lines import duration_s, parse_line, steps_of


@pytest.mark.parametrize(
    ("line", "kind", "numbers"),
    [
        ("=== STEP MOTOR SISTEMI HAZIR ===", "banner", ()),
        ("?\x00junk=== STEP MOTOR SISTEMI HAZIR ===\r", "banner", ()),
        ("Komut: motor_id:açı (örn: 1:90)", "talk", ()),
        ("Motor1 başlangıç pozisyonu: -1727.50", "start", (1, -1727.5)),
        ("Alınan komut: 1:90", "echo", ()),
        ("Motor ID: 1, Delta Açı: 90.00", "talk", ()),
        ("Motor1 mevcut pozisyon: -1727.50", "present", (1, -1727.5)),
        ("Motor 1 için 51 adım döndürülecek (90.00°)", "steps", (1, 51)),
        ("Yön sinyali: HIGH (deltaAngle: 90.00)", "talk", ()),
        ("Adım: 50/203", "step", (50, 203)),
        ("Motor 2 hareketi tamamlandı", "talk", ()),
        ("Motor2 yeni pozisyon: -1637.50", "done", (2, -1637.5)),
        ("ERR: Format motor_id:açı", "no", ()),
        ("ERR: Motor ID 1 veya 2 olmalı", "no", ()),
        ("Motor hareketi başarısız!", "no", ()),
        ("Motor hareket etmeyecek (0°)", "nothing", ()),
        ("Hareket edilecek açı çok küçük, motor dönmeyecek", "talk", ()),
        ("Sistem aktif - yeni komut bekleniyor...", "talk", ()),
        ("Motor1: -1727.50°, Motor2: 12.25°", "beat", (-1727.5, 12.25)),
    ],
)
def test_lines(line: str, kind: str, numbers: tuple[float, ...]) -> None:
    said = parse_line(line.encode())
    assert (said.kind, said.numbers) == (kind, numbers)


def test_the_echo_is_kept_as_it_is() -> None:
    assert parse_line("Alınan komut: 1:902:45\r".encode()).words == "1:902:45"


@pytest.mark.parametrize(
    "line",
    [
        b"hello", b"\xff\xfe\x80", b"Motor1 yeni pozisyon: -1637", b"Motor3 yeni pozisyon: 1.00",
        b"Motor1 yeni pozisyon: 1727.60", b"Motor1 yeni pozisyon: nan", "Adım: 1/9999".encode(),
        b"x" * 5000, "Motor1: -1727.50°, Motor2: 99999.00°".encode(),
    ],
)  # fmt: skip
def test_what_is_not_a_line_of_its(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse_line(line)


def test_damage_is_never_anything_but_a_value_error() -> None:
    dice = random.Random(1)
    whole = "Motor1: -1727.50°, Motor2: 12.25°".encode()
    for _ in range(2000):
        harmed = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            harmed[dice.randrange(len(harmed))] = dice.randrange(256)
        try:
            said = parse_line(bytes(harmed))
        except ValueError:
            continue
        assert said.kind in ("beat", "talk", "no", "nothing", "echo")
        assert all(abs(number) <= 1727.51 for number in said.numbers)


@pytest.mark.parametrize(("angle", "takes_s"), [(90, 0.56), (360, 2.08), (3455, 19.53)])
def test_a_move_is_reckoned_to_take_what_it_takes_or_a_little_more(angle: float, takes_s: float) -> None:
    assert takes_s <= duration_s(steps_of(angle)) + 0.005 <= takes_s * 1.02 + 0.02
