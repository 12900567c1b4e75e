"""What a run has done, one thing after the other in each lane."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Lanes:
    """Threads in which things are done one after the other, one for each key."""

    pools: dict[Any, ThreadPoolExecutor] = field(default_factory=dict[Any, ThreadPoolExecutor])

    def do(self, key: Any, work: Callable[..., None], *arguments: Any) -> Future[None]:
        """Have something done after what is before it in its lane."""
        if key not in self.pools:
            self.pools[key] = ThreadPoolExecutor(1, f"run-{key}")
        return self.pools[key].submit(work, *arguments)

    def close(self) -> None:
        """Begin nothing more."""
        for pool in self.pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
