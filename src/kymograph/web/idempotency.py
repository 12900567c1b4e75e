"""The same key, the same answer: a client that did not hear the answer may ask again without doing it twice.

Answers are remembered in memory, the newest `IDEMPOTENCY_KEYS_MAX`. They do not survive the front; what
does is that a stream is recorded once only, so that the repeated request is then refused as a conflict.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from kymograph.model.errors import Conflict, InvalidInput
from kymograph.model.limits import IDEMPOTENCY_KEYS_MAX
from kymograph.web.problems import encode

_KEY_CHARS_MAX: Final = 255


class _Answer:
    """One key's request, under way or answered."""

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        self.lock = threading.Lock()
        self.body: Any = None


class Answers:
    """What was answered to each key. Called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: OrderedDict[tuple[str, str], _Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_key)

    def once(self, caller: str, key: str | None, request: Any, do: Callable[[], Any]) -> Any:
        """Do something and return its answer, or only return the answer if it was done before.

        A request that failed is forgotten, so that it can be tried again. Without a key it is simply done.

        Raises:
            InvalidInput: the key is too long.
            Conflict: the key came with another request before.
        """
        if key is None:
            return do()
        if not 0 < len(key) <= _KEY_CHARS_MAX:
            raise InvalidInput(f"an Idempotency-Key has 1 to {_KEY_CHARS_MAX} characters")
        fingerprint = hashlib.sha256(encode(request)).digest()
        answer = self._answer((caller, key), fingerprint)
        if answer.fingerprint != fingerprint:
            raise Conflict("this Idempotency-Key came with another request before", hint="make a new key")
        with answer.lock:
            if answer.body is None:
                answer.body = do()
            return answer.body

    def _answer(self, key: tuple[str, str], fingerprint: bytes) -> _Answer:
        with self._lock:
            answer = self._by_key.setdefault(key, _Answer(fingerprint))
            self._by_key.move_to_end(key)
            if len(self._by_key) > IDEMPOTENCY_KEYS_MAX:
                self._by_key.popitem(last=False)
            return answer
