"""What an instrument can move, as others see it: what there is, where it is, and how it is made safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from kymograph.acquire.requests import Requests
from kymograph.drivers.base import Driver
from kymograph.model import status
from kymograph.model.actuator import Actuator


class Motion:
    """The moving side of one instrument. Any thread may ask."""

    def __init__(
        self, driver: Callable[[], Driver[Any]], state: Callable[[], str], requests: Requests
    ) -> None:
        """`driver` gives the present one; what it is told, it is told in its own thread, by `requests`."""
        self._driver = driver
        self._state = state
        self._requests = requests

    @property
    def actuators(self) -> Sequence[Actuator]:
        """What there is to move."""
        return self._driver().actuators()

    @property
    def commands(self) -> Sequence[str]:
        """The names of what the instrument can be told to do."""
        return sorted(self._driver().commands())

    def moves(self, command: str, arguments: Mapping[str, Any]) -> Sequence[str]:
        """Return which actuators a command would not leave safe."""
        return self._driver().moves(command, arguments)

    def expects(self, command: str, arguments: Mapping[str, Any]) -> Mapping[str, float]:
        """Return what the device will show of actuators once a command is done; asked in its own thread."""
        return self._driver().expects(command, arguments)

    @property
    def state(self) -> str:
        """What the instrument does: one of `status.STATES`."""
        return self._state()

    @property
    def is_open(self) -> bool:
        """Whether the device can be told anything."""
        return self._state() in (status.IDLE, status.ACQUIRING)

    def read_back(self) -> Mapping[str, float | None]:
        """Return where each actuator is, as the device itself last said; None if it did not."""
        return self._driver().read_back()

    def to_list(self) -> list[dict[str, Any]]:
        """Return each actuator as plain data, with the `value` at which the device says that it is."""
        told = self.read_back()
        return [{**one.to_dict(), "value": told.get(one.name)} for one in self.actuators]

    def make_safe(self) -> Future[bool]:
        """Bring every actuator to its safe value, before anything else that waits; does not wait for it.

        The result is False if the device is not open: then nothing can be sent, and nothing is kept.
        """
        self._driver().stop_wanted.set()
        return self._requests.put(self._make_safe, urgent=True)

    def _make_safe(self) -> bool:
        driver = self._driver()
        driver.stop_wanted.clear()
        if not self.is_open:
            return False
        driver.make_safe()
        return True
