"""The plain way to take readings, for comparison: FastAPI, pydantic models, objects of an ORM, `add_all`.

Started as a process of its own: `python -m tests.bench.orm URL PORT`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import BigInteger, DateTime, String, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.postgres import _free_port


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "orm_readings"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    device_id: Mapped[str] = mapped_column(String)
    ts_utc: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ts_local: Mapped[datetime] = mapped_column(DateTime, index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    is_synced: Mapped[bool] = mapped_column(index=True, default=False)


class Reading(BaseModel):
    device_id: str
    ts_utc: datetime
    ts_local: datetime
    payload: dict[str, Any]


class Bulk(BaseModel):
    readings: list[Reading]


def make_app(url: str) -> FastAPI:
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    app = FastAPI()

    @app.post("/readings/bulk", status_code=201)
    def bulk(body: Bulk) -> dict[str, Any]:
        with Session(engine) as session:
            rows = [Row(**reading.model_dump()) for reading in body.readings]
            session.add_all(rows)
            session.commit()
            return {"created": len(rows), "message": f"{len(rows)} readings created"}

    return app


class OrmHub:
    """That server, running."""

    def __init__(self, database_url: str) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._process = subprocess.Popen([sys.executable, "-m", "tests.bench.orm", database_url, str(port)])

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError("it did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)


def main() -> None:
    import uvicorn

    url, port = sys.argv[1:]
    uvicorn.run(make_app(url), host="127.0.0.1", port=int(port), loop="uvloop", log_level="warning")


if __name__ == "__main__":
    main()
