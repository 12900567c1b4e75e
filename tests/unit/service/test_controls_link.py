"""A stand whose link goes and comes back: it is safe then, and nothing moves that was asked for meanwhile."""

import threading
import time

import pytest

from kymograph.config import parse
from kymograph.model.errors import KymographError, Refused
from kymograph.service.station import Station
from kymograph.sim import registry as simulators
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire
from tests.unit.acquire.test_safe import until

OPEN = [1, 0, 0, 0, 0, 0, 0, 0, 0]
CLOSED = [0] * 9


@pytest.fixture
def make(tmp_path):
    made = []

    def make(parameters, **options):
        device = simulators.make("stm32", parameters)
        simulation = Simulation(device, PtyWire(tmp_path / "port"))
        simulation.__enter__()
        stand = {"driver": "stm32", "port": simulation.url, "options": {"silence_s": 1.5, **options}}
        data = {"name": "stand", "data": str(tmp_path / "data")}
        station = Station(parse({"station": data, "instruments": {"stand": stand}}))
        made.append((station, simulation))
        station.start()
        until(lambda: state(station) == "acquiring", 20)
        return station, simulation

    yield make
    for station, simulation in made:
        station.shutdown()
        simulation.__exit__(None, None, None)


def state(station):
    return station.instruments()[0]["state"]


def set_valves(station, valves):
    return station.command("stand", "set_valves", {"valves": valves}, "Ana")


def is_at(simulation, valves):
    return lambda: list(simulation.device.rocket.valves) == valves


def last(station):
    return station.control.status()["commands"][-1]


def test_after_a_silence_it_is_made_safe_and_nothing_that_was_asked_for_moves(make):
    station, simulation = make({})
    assert set_valves(station, OPEN)["state"] == "verified"
    simulation.fault("refuse on")
    simulation.fault("silence")
    until(lambda: state(station) == "fault", 20)
    assert is_at(simulation, OPEN)()  # it hears nothing, and holds what it was told last
    until(lambda: station.control.status()["actuators"][0]["value"] is None, 20)
    with pytest.raises(Refused):
        set_valves(station, [1, 1, 1, 1, 1, 1, 1, 1, 1])
    simulation.fault("ok")
    until(lambda: state(station) == "acquiring", 20)
    until(is_at(simulation, CLOSED), 20)
    assert last(station)["state"] == "refused"
    assert set_valves(station, OPEN)["state"] == "verified"


def test_a_cable_that_is_pulled_under_a_command_leaves_it_unknown(make):
    station, simulation = make({}, ack_timeout_s=10)
    simulation.fault("mute on")
    errors = []

    def give():
        try:
            set_valves(station, OPEN)
        except KymographError as error:
            errors.append(error)

    giver = threading.Thread(target=give)
    giver.start()
    until(is_at(simulation, OPEN), 20)
    simulation.fault("unplug")
    giver.join(20)
    assert len(errors) == 1
    until(lambda: last(station)["state"] == "unknown", 20)
    simulation.fault("mute off")
    simulation.fault("replug")
    until(lambda: state(station) == "acquiring", 20)
    until(is_at(simulation, CLOSED), 20)
    until(lambda: station.control.status()["actuators"][0]["value"] == 0, 20)


def test_a_device_that_wants_signs_of_life_has_them_while_nothing_is_acquired(make):
    station, simulation = make(
        {"protocol": "frames", "rate_hz": "500"},
        protocol="frames", rate_hz=500, link="usb", heart_beat_s=0.1, heart_beat_timeout_s=2.0,
    )  # fmt: skip
    station.act("stand", "stop")
    assert set_valves(station, OPEN)["state"] == "verified"
    time.sleep(3.0)  # longer than the device waits
    assert is_at(simulation, OPEN)() and not simulation.device.safe_taken
    station.act("stand", "start")
    until(lambda: station.control.status()["actuators"][0]["value"] == 1, 20)
    station.act("stand", "close")
    until(is_at(simulation, CLOSED), 20)


def test_a_stop_that_comes_over_a_command_leaves_it_unknown_and_wins(make):
    station, simulation = make({}, ack_timeout_s=10)
    simulation.fault("mute on")
    errors = []

    def give():
        try:
            set_valves(station, OPEN)
        except KymographError as error:
            errors.append(error)

    giver = threading.Thread(target=give)
    giver.start()
    until(is_at(simulation, OPEN), 20)
    assert station.control.stop_all("Eve")["sent"] == {"stand": "sent"}
    giver.join(20)
    until(is_at(simulation, CLOSED), 20)
    assert len(errors) == 1 and last(station)["state"] == "unknown"


def test_a_move_of_a_motor_is_proved_by_its_position(tmp_path):
    motors = {
        "driver": "arduino_stepper",
        "port": "sim://arduino_stepper?time_scale=0.05",
        "options": {"time_scale": 0.05},
    }
    data = {"name": "stand", "data": str(tmp_path / "data")}
    station = Station(parse({"station": data, "instruments": {"motors": motors}}))
    station.start()
    try:
        until(lambda: state(station) == "acquiring", 20)
        moved = station.command("motors", "move", {"motor_id": 1, "angle": 33.333}, "Ana")
        assert moved["state"] == "verified"
        with pytest.raises(KymographError):
            station.command("motors", "move", {"motor_id": 1, "angle": -3000}, "Ana")
        assert last(station)["state"] == "refused"
    finally:
        station.shutdown()
