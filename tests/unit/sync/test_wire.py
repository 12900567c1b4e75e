"""An answer that breaks off is none, wherever it does."""

import socket
import threading

import pytest

from kymograph.sync.pusher.wire import Away, Wire

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"held": 1}'


class Line:
    """Answers each request with as many bytes as it is told to, and hangs up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answer = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(20)
                while b"\r\n\r\n" not in client.recv(65_536):
                    pass
                client.sendall(self.answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def line():
    made = Line()
    yield made
    made.close()


def ask(line: Line, answer: bytes) -> bytes:
    line.answer = answer
    wire = Wire(line.url, "", 20, 20)
    try:
        return wire.ask("GET", "/hello").body
    finally:
        wire.close()


def test_an_answer_that_breaks_off_is_none(line: Line) -> None:
    for length in range(len(ANSWER)):
        with pytest.raises(Away) as told:
            ask(line, ANSWER[:length])
        assert told.value.doubtful
    assert ask(line, ANSWER) == b'{"held": 1}'


def test_an_answer_may_end_with_the_connection(line: Line) -> None:
    assert ask(line, b"HTTP/1.0 200 OK\r\n\r\nfine") == b"fine"
    assert ask(line, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine") == b"fine"


def test_pieces_of_an_answer_end_with_an_empty_one(line: Line) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ask(line, head + b"4\r\nfine\r\n0\r\n\r\n") == b"fine"
    with pytest.raises(Away):
        ask(line, head + b"4\r\nfine\r\n")
