"""The other end of each wire: devices that do not exist, for demonstrations, rehearsals and tests.

Nothing here imports a driver; a simulator is written from the device's own papers.
"""

from kymograph.sim.runner import run

__all__ = ["run"]
