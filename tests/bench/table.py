"""The table of the benchmark: one line a comparison, with the goal beside what was reached."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One comparison. `ratio` is ours to the peer's in the sense in which more is better, where `better`
    is "more", or less is better, where it is "less"."""

    what: str
    ours: float
    unit: str
    peer: str = ""
    peers: float | None = None
    goal: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        return None if not self.peers else self.ours / self.peers

    def cells(self) -> list[str]:
        return [
            self.what,
            figure(self.ours, self.unit),
            "" if self.peers is None else figure(self.peers, self.unit),
            self.peer,
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.goal,
            {True: "yes", False: "NO", None: ""}[self.met],
        ]


HEAD = ["what", "ours", "peer's", "peer", "ratio", "goal", "met"]


def figure(value: float, unit: str) -> str:
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return (
                f"{value / limit:.2f} {sign}{unit}"
                if unit[:1] != " "
                else f"{value / limit:.2f} {sign}{unit[1:]}"
            )
    return f"{value:.3g} {unit}"


def at_least(what: str, ours: float, unit: str, peer: str, peers: float, goal: float) -> Line:
    """A line whose ratio is to be at least `goal`."""
    return Line(what, ours, unit, peer, peers, f">= {goal:g}", ours / peers >= goal)


def at_most(what: str, ours: float, unit: str, peer: str, peers: float, goal: float) -> Line:
    """A line whose ratio is to be at most `goal`."""
    return Line(what, ours, unit, peer, peers, f"<= {goal:g}", ours / peers <= goal)


def below(what: str, ours: float, unit: str, bound: float) -> Line:
    """A line with an absolute bound and no peer."""
    return Line(what, ours, unit, goal=f"<= {bound:g} {unit}", met=ours <= bound)


def rate(count: float, work: Callable[[], object], repeats: int = 3) -> float:
    """Return `count` a second for the median of several runs of `work`."""
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return count / statistics.median(seconds)


def machine() -> str:
    """Describe this machine as the table needs it."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return (
        f"{os.cpu_count()} cores ({model}), {memory_kb / 2**20:.0f} GiB, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def markdown(lines: list[Line]) -> str:
    rows = [HEAD, ["---"] * len(HEAD), *(line.cells() for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
