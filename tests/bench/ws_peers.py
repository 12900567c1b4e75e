"""Other servers that send the same bytes as ours, from the same blocks of the same engine.

    python -m tests.bench.ws_peers bare|foxglove FOLDER PORT STREAM EVERY

They follow the stream over the engine's link, as our front does. EVERY 0 sends a block as a message, as
`/v1/live` does, else every so-manieth row as one, as the test stand's face does. Made of the same parts of
ours, the messages cost them what they cost us; what differs is how they reach the clients.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from kymograph.link.client import EngineClient
from kymograph.model.block import Block
from kymograph.web.faces.teststand.formulas import NO_FORMULAS
from kymograph.web.faces.teststand.samples import Standing, Writer
from kymograph.web.live.encoding import Encoded
from kymograph.web.live.intake import Intake
from kymograph.web.live.views import View

QUEUE = {True: 64, False: 4096}
"""Messages that wait for one client, for blocks and for samples: as many as with ours."""
Say = Callable[[Block], Iterator[bytes]]


def messages(every: int) -> Say:
    """Return what makes messages of a block."""
    writer = Writer(max(every, 1), True, NO_FORMULAS)
    standing = Standing((0,) * 9, ())

    def blocks(block: Block) -> Iterator[bytes]:
        said = Encoded(View(block.stream, "raw").piece([block]), "msgpack").to("a")
        assert isinstance(said, bytes)
        yield said

    def samples(block: Block) -> Iterator[bytes]:
        for made in writer.write(block, standing):
            for at in range(0, len(made.frames), made.first_end):
                yield made.frames[at + made.first_head : at + made.first_end]

    return samples if every else blocks


class Bare:
    """A queue and a task a client, on the same server library and loop as ours."""

    def __init__(self, say: Say, depth: int) -> None:
        self._say = say
        self._depth = depth
        self._clients: set[asyncio.Queue[bytes]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        queue: asyncio.Queue[bytes] = asyncio.Queue(self._depth)
        self._clients.add(queue)
        try:
            while True:
                await send({"type": "websocket.send", "bytes": await queue.get()})
        finally:
            self._clients.discard(queue)

    def offer(self, blocks: Sequence[Block]) -> None:
        """Give everybody what came; who has no room goes without."""
        for message in chain.from_iterable(map(self._say, blocks)):
            for queue in self._clients:
                if not queue.full():
                    queue.put_nowait(message)


async def bare(engine: EngineClient, stream: str, port: int, every: int) -> None:
    """Serve for ever."""
    app = Bare(messages(every), QUEUE[not every])
    engine.subscribe([stream], Intake(asyncio.get_running_loop(), app.offer))
    config = uvicorn.Config(
        app, port=port, ws="websockets-sansio", loop="uvloop", ws_per_message_deflate=False,
        log_level="error", lifespan="off",
    )  # fmt: skip
    await uvicorn.Server(config).serve()


class FoxgloveSink:
    """Logs each message to the channel, from the thread in which the block came."""

    def __init__(self, channel: Any, say: Say) -> None:
        self._channel = channel
        self._say = say

    @property
    def rows_lost(self) -> int:
        return 0

    def put(self, block: Block) -> bool:
        at_ns = int(block.time_ns[-1])
        for message in self._say(block):
            self._channel.log(message, log_time=at_ns)
        return True


def serve_foxglove(engine: EngineClient, stream: str, port: int, every: int) -> None:
    """Serve for ever."""
    import foxglove

    schema = foxglove.Schema(name="bench", encoding="", data=b"")
    channel = foxglove.Channel("bench", message_encoding="msgpack", schema=schema)
    server = foxglove.start_server(name="bench", port=port)
    engine.subscribe([stream], FoxgloveSink(channel, messages(every)))
    while server:
        time.sleep(60)


def main(which: str, folder: str, port: str, stream: str, every: str) -> None:
    engine = EngineClient(Path(folder))
    if which == "bare":
        uvloop.run(bare(engine, stream, int(port), int(every)))
    else:
        serve_foxglove(engine, stream, int(port), int(every))


if __name__ == "__main__":
    main(*sys.argv[1:])
