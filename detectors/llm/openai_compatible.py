"""The LLM guard on a server of its own, for models too big for a worker: any OpenAI-compatible chat endpoint.

The same guard's directory says how to ask, and content is made harmless in the same way before it is sent: a server
tokenises the whole conversation and would obey a special token in it. A server that does not answer makes an event's
status `error` with the reason `remote`, never a low score.
"""

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.calibration import Platt
from detectors.interface import Answer
from detectors.items import Items
from detectors.llm.directory import GuardDirectory, open_guard, platt, version_with
from detectors.llm.guard import DEFAULT_MODEL
from detectors.llm.model import load_tokenizer
from detectors.llm.outage import Away, Unanswered
from detectors.llm.prompt import Neutraliser, Pieces, filled, rendered
from detectors.llm.server import Server, Words
from detectors.llm.shown import to_ask
from detectors.options import checked
from detectors.text.language import LanguageGate, primary
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status

_SIGN_OF_LIFE: Final = 1.0  # seconds between two hints while a server takes its time


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://")  # of the API, such as http://127.0.0.1:8000/v1
    served_model: str = ""  # the model's name there; empty is enough where a server has one only
    model: Path = DEFAULT_MODEL  # the guard's directory: conversation, verdicts, calibration
    policies: dict[Category, str] = {}  # none: the directory's own
    key_variable: str = ""  # the environment variable that holds the API key
    concurrency: int = Field(default=8, ge=1, le=256)  # requests under way
    seconds: float = Field(default=10.0, gt=0)  # for one attempt
    attempts: int = Field(default=3, ge=1)
    verdict_at: float = Field(default=0.5, gt=0, lt=1)  # probability, where a server gives verdicts only


class RemoteGuard:
    """See `detectors.interface.Detector`. The scores of a server with verdicts only are 0 and 1."""

    modalities: Final = ("text",)
    cost_ms: Final = 1000.0  # of waiting

    def __init__(self, directory: GuardDirectory, options: Options) -> None:
        policies = dict(options.policies or directory.guard.policies)
        if not policies:
            raise UserMistake("policies: none given, and the model directory has none")
        if directory.guard.cue:
            raise UserMistake(f"{directory.folder}: a verdict after a cue can't be had from a chat server; use `llm`")
        named = {str(name): text for name, text in policies.items()}
        asked = {"served": options.served_model, "verdict_at": str(options.verdict_at)}
        self.version = version_with(directory, named | asked)
        self.categories: tuple[str, ...] = tuple(map(str, policies))
        self.languages: frozenset[str] | None = frozenset(map(primary, directory.card.languages)) or None
        self._gate = LanguageGate(self.languages) if self.languages else None
        self._options, self._policies = options, list(policies.values())
        self._turns = directory.guard.messages
        self._platts = [platt(directory, torch.float32, name) for name in self.categories]
        self._neutral, self._words = _tokens(directory)
        self._server: Server | None = None
        self._pool: ThreadPoolExecutor | None = None

    def warm(self) -> None:
        """Open the pool of connections; the server is asked when there is something to ask."""
        self.close()
        chosen = self._options
        key = os.environ.get(chosen.key_variable) if chosen.key_variable else None
        self._server = Server(
            chosen.url,
            chosen.served_model,
            key,
            self._words,
            seconds=chosen.seconds,
            attempts=chosen.attempts,
            connections=chosen.concurrency,
        )
        self._pool = ThreadPoolExecutor(chosen.concurrency, "guard")

    def close(self) -> None:
        """Let go of pool and connections; `warm` makes new ones."""
        if self._pool is not None and self._server is not None:
            self._pool.shutdown(cancel_futures=True)
            self._server.close()
        self._pool = self._server = None

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Probabilities (n, policies); `error`/`remote` for the rows that the server gave no verdict on.

        Abstained: nothing to read, too much to read whole, a language the guard was not evaluated in.
        """
        outcomes, rows, shown = to_ask(items, self._gate, self._neutral)
        probability = np.full((len(items), len(self.categories)), np.nan, np.float32)
        for row, futures in zip(rows, [self._ask(one.parts) for one in shown], strict=True):
            at(row)
            try:
                probability[row] = self._highest(futures, lambda: at(row))  # noqa: B023 - called within this turn
            except Unanswered:
                outcomes[row] = (Status.error, Reason.remote)
        status, reason = np.array(outcomes, np.uint8).reshape(-1, 2).T
        return Answer(probability, status, reason)

    def _ask(self, parts: Sequence[str]) -> list[list[Future[float]]]:
        """For each part of a text, for each policy."""
        assert self._pool is not None, "warm comes before score"
        return [
            [
                self._pool.submit(self._one, filled(self._turns, policy, part), fitted)
                for policy, fitted in zip(self._policies, self._platts, strict=True)
            ]
            for part in parts
        ]

    def _one(self, messages: Sequence[Mapping[str, str]], fitted: Platt) -> float:
        """A probability."""
        assert self._server is not None, "warm comes before score"
        wanted = self._options.verdict_at
        threshold = (float(np.log(wanted / (1 - wanted))) - fitted.intercept) / fitted.slope
        return float(fitted.probability(self._server.margin(messages, threshold)))

    def _highest(self, futures: Sequence[Sequence[Future[float]]], alive: Callable[[], None]) -> NDArray[np.float64]:
        """The probabilities of a row. Raises Unanswered, and asks nothing more of the row, if one has no answer."""
        try:
            found = np.array([[self._waited(future, alive) for future in each] for each in futures], np.float64)
        finally:
            for future in itertools.chain(*futures):
                future.cancel()  # of what is done nothing is undone
        return np.asarray(found.max(axis=0))

    def _waited(self, future: Future[float], alive: Callable[[], None]) -> float:
        """Its result, with a sign of life as long as it may take.

        Those before it are over, so it has a thread, or every thread hangs at a server that never ends its answer.
        """
        assert self._server is not None, "warm comes before score"
        until = time.monotonic() + 2 * self._server.limit + _SIGN_OF_LIFE
        while time.monotonic() < until:
            try:
                return future.result(timeout=_SIGN_OF_LIFE)
            except Late:
                if future.done():
                    raise
                alive()
        self._server.reconnect()
        raise Away("the server takes too long")


def build(options: Mapping[str, Any]) -> RemoteGuard:
    """The detector as configured. UserMistake if an option or the guard's directory is wrong."""
    chosen = checked(Options, options)
    return RemoteGuard(open_guard(chosen.model), chosen)


def _tokens(directory: GuardDirectory) -> tuple[Neutraliser, Words]:
    """What has to be broken up in content, and the verdicts' ids: both from the model's tokenizer."""
    tokenizer = load_tokenizer(directory.base())
    prompt = rendered(tokenizer, directory.guard.messages)
    pieces = Pieces(tokenizer.backend_tokenizer, prompt)
    said = directory.guard.verdicts
    ids = {word: pieces.label(word) for word in (*said.breaks, *said.keeps)}
    return Neutraliser.of(tokenizer, prompt), Words(said.breaks, said.keeps, ids)
