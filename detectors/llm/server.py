"""A server that speaks OpenAI's chat completions: one question, one verdict. vLLM, `transformers serve` and others.

What a server can do is seen from what it answers, never from its status: `transformers serve` takes the request for
log-probabilities, says 200, and sends none. Then the verdict is forced instead: a bias on the verdicts' tokens makes
the answer one of them, and shifting one against the other asks whether the margin is over a threshold.
"""

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import numpy as np
import structlog

from detectors.llm.outage import Away, Outage, Unanswered

_TRY_AGAIN: Final = frozenset({408, 429})  # and whatever is the server's own fault: 500 and more
_MOST_BYTES: Final = 1 << 20  # of an answer
_MISSING: Final = 3  # answers in a row without log-probabilities, and never one with: they are asked for less often
_ASK_AGAIN: Final = 60.0  # seconds
_TOP: Final = 20  # log-probabilities asked for: OpenAI's limit
_FORCED: Final = 75.0  # added to the verdicts' logits, so that no other token can win; OpenAI's limit is 100
_MOST_SHIFT: Final = 25.0  # of either verdict against it
_FIRST_PAUSE: Final = 0.2  # seconds before the second attempt, doubled for each further one
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """The verdicts. `tokens`: their ids in the server's model, needed where it sends no log-probabilities."""

    breaks: tuple[str, ...]
    keeps: tuple[str, ...]
    tokens: Mapping[str, int]


class Server:
    """Thread-safe. Times are in seconds."""

    def __init__(
        self, url: str, model: str, key: str | None, words: Words, *, seconds: float, attempts: int, connections: int
    ) -> None:
        self._model, self._words, self._attempts, self._seconds = model, words, attempts, seconds
        self._url, self._connections = url.rstrip("/") + "/", connections
        self._headers = {"Accept-Encoding": "identity"}  # so that an answer's bytes are what is counted
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client, self._outage = self._connected(), Outage(url)
        self._lock = threading.Lock()
        self._given, self._missing, self._ask_again = False, 0, 0.0  # log-probabilities: ever, in a row, and when

    @property
    def limit(self) -> float:
        """The longest that one request may take: every attempt, and the pauses between."""
        return self._attempts * self._seconds + _FIRST_PAUSE * (2.0 ** (self._attempts - 1) - 1)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def reconnect(self) -> None:
        """Close the connections and begin with new ones: frees whoever waits for an answer that never ends."""
        stuck, self._client = self._client, self._connected()
        stuck.close()

    def margin(self, messages: Sequence[Mapping[str, str]], threshold: float) -> float:
        """The log-odds of `breaks`; ±inf for a verdict at `threshold`, where the server gives no probabilities.

        Two requests at most. Raises Unanswered, at once while the breaker is open.
        """
        try:
            if self._given or self._missing < _MISSING or time.monotonic() >= self._ask_again:
                top = _top(self._asked(messages, {"logprobs": True, "top_logprobs": _TOP}))
                self._noted(given=bool(top))
                if top:
                    return _margin(top, self._words)
            return self._forced(messages, threshold)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Unanswered(f"the answer is no chat completion: {type(error).__name__}") from error

    def _noted(self, *, given: bool) -> None:
        """One answer without is that question's alone; a server that has sent them is always asked for them."""
        with self._lock:
            self._given |= given
            self._missing = 0 if given else self._missing + 1
            self._ask_again = time.monotonic() + _ASK_AGAIN
            if self._missing == _MISSING and not self._given:
                _log.info("the server sends no log-probabilities: verdicts only", url=self._url)

    def _forced(self, messages: Sequence[Mapping[str, str]], threshold: float) -> float:
        """+inf if the margin is over the threshold, else -inf. Of several words for a verdict the likeliest counts."""
        words = self._words
        if any(word not in words.tokens for word in (*words.breaks, *words.keeps)):
            raise Unanswered("the server sends no log-probabilities, and the verdicts' tokens are not known")
        shift = float(np.clip(threshold / 2, -_MOST_SHIFT, _MOST_SHIFT))
        bias = {str(words.tokens[word]): _FORCED - shift for word in words.breaks}
        bias |= {str(words.tokens[word]): _FORCED + shift for word in words.keeps}
        said = str((self._asked(messages, {"logit_bias": bias}).get("message") or {}).get("content") or "").strip()
        if said in map(str.strip, words.breaks):
            return np.inf
        if said in map(str.strip, words.keeps):
            return -np.inf
        raise Unanswered("the server's answer is not a verdict, so it can't score")

    def _asked(self, messages: Sequence[Mapping[str, str]], more: Mapping[str, Any]) -> dict[str, Any]:
        """The first choice of the answer."""
        body = {"model": self._model, "messages": list(messages), "max_tokens": 1, "temperature": 0.0, **more}
        with self._outage.question():
            said = self._answered(body)
        choice: dict[str, Any] = json.loads(said)["choices"][0]
        return choice

    def _answered(self, body: Mapping[str, Any]) -> bytes:
        """The answer, after as many attempts as are allowed and there is time for."""
        until = time.monotonic() + self.limit
        for attempt in range(self._attempts - 1):
            try:
                return self._posted(body)
            except Away:
                if time.monotonic() > until:
                    raise
                time.sleep(_FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter
        return self._posted(body)

    def _posted(self, body: Mapping[str, Any]) -> bytes:
        """One attempt. Raises Away where another may help, or else Unanswered: the question is at fault."""
        until = time.monotonic() + self._seconds
        try:
            with self._client.stream("POST", "chat/completions", json=body) as response:
                status = response.status_code
                if status in _TRY_AGAIN or status >= 500:
                    raise Away(f"status {status}")
                if not response.is_success:
                    raise Unanswered(f"status {status}")
                return _read(response, until)
        except (httpx2.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed under it
            raise Away(f"{type(error).__name__}: {error}"[:200]) from error

    def _connected(self) -> httpx2.Client:
        return httpx2.Client(
            base_url=self._url,
            headers=self._headers,
            timeout=httpx2.Timeout(self._seconds),
            limits=httpx2.Limits(max_connections=self._connections, max_keepalive_connections=self._connections),
        )


def _read(response: httpx2.Response, until: float) -> bytes:
    """The answer's bytes: not too many, and not for too long, however they trickle."""
    found = bytearray()
    for chunk in response.iter_raw():
        found += chunk
        if len(found) > _MOST_BYTES:
            raise Unanswered(f"an answer of more than {_MOST_BYTES} bytes")
        if time.monotonic() > until:
            raise Away("the answer takes too long")
    return bytes(found)


def _top(choice: Mapping[str, Any]) -> dict[str, float]:
    """Token → log-probability of the first place; empty if the answer has none, or one alone: a margin needs two."""
    places = (choice.get("logprobs") or {}).get("content") or []
    listed = places[0].get("top_logprobs") or [] if places else []
    found = {str(each["token"]): float(each["logprob"]) for each in listed}
    return found if len(found) > 1 else {}


def _margin(top: Mapping[str, float], words: Words) -> float:
    """One verdict may be too rare to be listed: it then counts as the rarest that is."""
    rarest = min(top.values())
    breaks = [top[word] for word in words.breaks if word in top]
    keeps = [top[word] for word in words.keeps if word in top]
    if not breaks and not keeps:
        raise Unanswered("none of the verdicts is among the likely answers, so the server can't score")
    return float(np.logaddexp.reduce(breaks or [rarest]) - np.logaddexp.reduce(keeps or [rarest]))
