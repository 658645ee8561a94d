"""A server that speaks OpenAI's chat completions: one question, one verdict. vLLM, `transformers serve` and others.

What a server can do is seen from what it answers, never from its status: `transformers serve` takes the request for
log-probabilities, says 200, and sends none. Then the verdict is forced instead: a bias on the verdicts' tokens makes
the answer one of them, and shifting one against the other asks whether the margin is over a threshold.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import numpy as np
import structlog

from detectors.breaker import Breaker, canary_failed

_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_FAILURES: Final = 4  # in a row, and the breaker opens
_TOP: Final = 20  # log-probabilities asked for: OpenAI's limit
_FORCED: Final = 75.0  # added to the verdicts' logits, so that no other token can win; OpenAI's limit is 100
_MOST_SHIFT: Final = 25.0  # of either verdict against it
_FIRST_PAUSE: Final = 0.2  # seconds before the second attempt, doubled for each further one
_log = structlog.get_logger(__name__)


class Unanswered(Exception):
    """No verdict: the server is away, late, or does not answer as agreed."""


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
        self._model, self._words, self._attempts = model, words, attempts
        self._client = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(seconds),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        self._breaker, self._failures = Breaker(), 0
        self._probabilities = True  # until an answer lacks them

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def margin(self, messages: Sequence[Mapping[str, str]], threshold: float) -> float:
        """The log-odds of `breaks`; ±inf for a verdict at `threshold`, where the server gives no probabilities.

        Raises Unanswered, at once while the breaker is open.
        """
        if self._probabilities:
            choice = self._asked(messages, {"logprobs": True, "top_logprobs": _TOP})
            top = _top(choice)
            if top:
                return _margin(top, self._words)
            self._probabilities = False
            _log.info("the server sends no log-probabilities: verdicts only", url=str(self._client.base_url))
        return self._forced(messages, threshold)

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
        now = time.monotonic()
        if self._breaker.is_open and not self._breaker.due(now):
            raise Unanswered("the server has failed several times and is left alone for a while")
        body = {"model": self._model, "messages": list(messages), "max_tokens": 1, "temperature": 0.0, **more}
        try:
            choice: dict[str, Any] = self._posted(body)["choices"][0]
        except (httpx2.HTTPError, LookupError, TypeError, ValueError) as error:
            self._failed(f"{type(error).__name__}: {error}")
            raise Unanswered(str(error)) from error
        self._breaker, self._failures = Breaker(), 0
        return choice

    def _posted(self, body: Mapping[str, Any]) -> Any:
        """The answer as JSON, after as many attempts as are allowed."""
        for left in range(self._attempts - 1, -1, -1):
            try:
                response = self._client.post("chat/completions", json=body)
                if response.status_code not in _TRY_AGAIN or not left:
                    return response.raise_for_status().json()
            except httpx2.TransportError:
                if not left:
                    raise
            time.sleep(_FIRST_PAUSE * 2 ** (self._attempts - 1 - left) * random.uniform(0.5, 1))  # noqa: S311 - jitter
        raise Unanswered("no attempt is allowed")

    def _failed(self, what: str) -> None:
        self._failures += 1
        if self._breaker.is_open or self._failures >= _FAILURES:
            if not self._breaker.is_open:
                _log.warning("the server fails: left alone for a while", error=what[:200])
            self._breaker = canary_failed(self._breaker, time.monotonic())


def _top(choice: Mapping[str, Any]) -> dict[str, float]:
    """Token → log-probability of the first place; empty if the answer has none."""
    places = (choice.get("logprobs") or {}).get("content") or []
    listed = places[0].get("top_logprobs") or [] if places else []
    return {str(each["token"]): float(each["logprob"]) for each in listed}


def _margin(top: Mapping[str, float], words: Words) -> float:
    """One verdict may be too rare to be listed: it then counts as the rarest that is."""
    rarest = min(top.values())
    breaks = [top[word] for word in words.breaks if word in top]
    keeps = [top[word] for word in words.keeps if word in top]
    if not breaks and not keeps:
        raise Unanswered("none of the verdicts is among the likely answers, so the server can't score")
    return float(np.logaddexp.reduce(breaks or [rarest]) - np.logaddexp.reduce(keeps or [rarest]))
