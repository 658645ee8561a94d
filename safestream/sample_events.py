"""Sample events of the three content types: what a platform's day looks like, from a seed.

What is real: the comments that are handed in; each appears once as a comment, and some again as a private message.
Everything else is made up here: everyday remarks put together from phrases, a few unkind ones, accounts, threads,
edits and deletions, profiles and the signals about their age. The same seed gives the same events.
"""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safestream.sample_languages import REMARKS
from schemas import topics

ACCOUNTS: Final = 500
_SHARES: Final = {topics.COMMENTS: 0.55, topics.MESSAGES: 0.3, topics.PROFILE_SIGNALS: 0.15}
_OPENINGS: Final = ("honestly,", "hey,", "update:", "to everyone here:", "one more thing:", "ok so", "PS:", "well,", "")
_REMARKS: Final = (
    "thanks, this was really helpful",
    "the second half is much better than the first",
    "does anybody know when {place} opens?",
    "I disagree, but I see your point",
    "what a beautiful picture of {place}",
    "we met at {place} last summer",
    "can you send me the recipe?",
    "my sister would love this",
    "I have been to {place} twice and would go again",
    "is it true that the {thing} is cheaper online?",
    "the {thing} arrived today and it works",
    "never thought that I would miss my old {thing}",
    "who else is learning the {thing} this winter?",
    "congratulations to the whole team",
    "see you at {place} on Friday",
    "that {thing} made my day",
)
_UNKIND: Final = (
    "you are a complete idiot and nobody wants you here",
    "shut up, you stupid moron",
    "nobody likes you, go away",
    "what a load of bullshit",
)
_PLACES: Final = ("the museum", "the lake", "Galway", "the new library", "Porto", "the market", "the pool", "Ghent")
_THINGS: Final = ("guitar", "bicycle", "camera", "bread oven", "keyboard", "tent", "telescope", "coffee grinder")
_NAMES: Final = ("Sam", "Noor", "Ada", "Joao", "Mei", "Luca", "Ines", "Tom", "Aoife", "Kofi", "Lea", "Ravi")
_BIOS: Final = ("photos, bread, long walks", "I write about trains", "coffee first", "fan account, not affiliated")
_LANGUAGE_AND_REGION: Final = (("en", "IE"), ("en", "US"), ("en-GB", "GB"), (None, None))


@dataclass(frozen=True, slots=True)
class SampleEvent:
    """One event: the topic it belongs to, and the record under the Avro field names."""

    topic: str
    record: Mapping[str, Any]
    kind: str = ""  # what is special about it: another language's tag, a picture, a voice note

    @property
    def text(self) -> str:
        """What a person wrote."""
        parts = (self.record.get(name) for name in ("text", "display_name", "bio"))
        return " / ".join(part for part in parts if part)


def sample_events(comments: Sequence[str], count: int, seed: int = 1) -> list[SampleEvent]:
    """`count` events in the order in which they happen; `created_at` is 0, for the producer to set.

    Every one of `comments` appears if `count` is five times as large, otherwise a share of them.
    """
    chance = random.Random(seed)  # noqa: S311  # not a secret
    writer = _Writer(chance, list(comments))
    kinds = [topic for topic, share in _SHARES.items() for _ in range(round(count * share))]
    kinds = (kinds + [topics.COMMENTS] * count)[:count]
    real = set(chance.sample([at for at, topic in enumerate(kinds) if topic == topics.COMMENTS], writer.use(count)))
    order = chance.sample(range(count), count)
    return [writer.event(kinds[at], real=at in real) for at in order]


def special_events(pictures: Sequence[tuple[str, str, str]], seed: int = 1) -> list[SampleEvent]:
    """Comments in other languages, and one for each picture or recording: (kind, role of the attachment, its URI)."""
    chance = random.Random(seed)  # noqa: S311
    writer = _Writer(chance, [])
    made = [writer.foreign(tag, text) for tag, said in REMARKS.items() for text in (*said.kind, *said.unkind)]
    made += [writer.attached(kind, role, uri) for kind, role, uri in pictures]
    return chance.sample(made, len(made))


def endless_events(topic: str, seed: int) -> Iterator[SampleEvent]:
    """Made-up events of one topic for ever, with nobody's comments among them."""
    writer = _Writer(random.Random(seed), [])  # noqa: S311
    while True:
        yield writer.event(topic, real=False)


class _Writer:
    """Everybody who writes: remembers what was posted, so that it can be answered, edited and deleted."""

    def __init__(self, chance: random.Random, comments: list[str]) -> None:
        self._chance = chance
        self._comments = comments
        self._used: list[str] = []
        self._posted: list[dict[str, Any]] = []  # comments that can be edited, the last ones

    def use(self, count: int) -> int:
        """How many of the real comments `count` events have room for; shuffles them, so that any of them may come."""
        self._chance.shuffle(self._comments)
        return min(len(self._comments), count // 5)

    def event(self, topic: str, *, real: bool) -> SampleEvent:
        """The next event of a topic."""
        if topic == topics.COMMENTS:
            return SampleEvent(topic, self._comment(real=real))
        record = self._message() if topic == topics.MESSAGES else self._profile()
        return SampleEvent(topic, record)

    def foreign(self, tag: str, text: str) -> SampleEvent:
        """A comment in another language."""
        return SampleEvent(topics.COMMENTS, self._begin() | {"surface": "comments", "text": text, "language": tag}, tag)

    def attached(self, kind: str, role: str, uri: str) -> SampleEvent:
        """A comment that is nothing but an attachment."""
        return SampleEvent(topics.COMMENTS, self._begin() | {"surface": "comments", "media": [{role: uri}]}, kind)

    def _comment(self, *, real: bool) -> dict[str, Any]:
        if not real and self._posted and self._chance.random() < 0.12:
            return self._edit_or_delete()
        record: dict[str, Any] = self._begin()
        record["surface"] = self._pick(("comments", "comments", "live_chat", "reviews"))
        record["text"] = self._real() if real else self._remark()
        if self._posted and self._chance.random() < 0.4:
            record["parent_id"] = self._pick(self._posted)["content_id"]
        self._posted = [*self._posted[-50:], record]
        return record

    def _real(self) -> str:
        self._used.append(self._comments.pop())
        return self._used[-1]

    def _edit_or_delete(self) -> dict[str, Any]:
        before: dict[str, Any] = self._pick(self._posted)
        self._posted.remove(before)
        after = before | {"event_id": self._id(), "revision": before.get("revision", 0) + 1}
        if self._chance.random() < 0.3:
            return after | {"operation": "delete", "text": None}
        return after | {"operation": "edit", "text": self._remark()}

    def _message(self) -> dict[str, Any]:
        again = bool(self._used) and self._chance.random() < 0.1  # what was posted in public, sent to somebody
        return self._begin() | {
            "text": self._pick(self._used) if again else self._remark(),
            "conversation_id": f"conversation-{self._chance.randrange(ACCOUNTS):04}",
            "recipient_ids": [self._account() for _ in range(self._pick((1, 1, 1, 3)))],
        }

    def _profile(self) -> dict[str, Any]:
        """Signals go together: the younger the account says to be, the younger its contacts."""
        record, age = self._begin(), self._chance.randrange(13, 70)
        unkind = self._chance.random() < 0.02
        return record | {
            "content_id": record["account_id"],
            "operation": "edit",
            "display_name": f"{self._pick(_NAMES)} {self._chance.randrange(100)}",
            "bio": self._pick(_UNKIND) if unkind else self._pick(_BIOS),
            "declared_age": age,
            "account_age_days": self._chance.randrange(3000),
            "followers": self._chance.randrange(500),
            "following": self._chance.randrange(500),
            "contacts_median_age": age + self._chance.uniform(-3, 3),
            "contacts_minor_share": self._chance.uniform(0.5, 0.9) if age < 18 else self._chance.uniform(0, 0.2),
        }

    def _begin(self) -> dict[str, Any]:
        language, region = self._pick(_LANGUAGE_AND_REGION)
        name = self._id()
        return {
            "event_id": name,
            "content_id": name,
            "account_id": self._account(),
            "operation": "create",
            "created_at": 0,
            "language": language,
            "region": region,
        }

    def _remark(self) -> str:
        if self._chance.random() < 0.03:
            return str(self._pick(_UNKIND))
        remark = self._pick(_REMARKS).format(place=self._pick(_PLACES), thing=self._pick(_THINGS))
        return f"{self._pick(_OPENINGS)} {remark}".strip()

    def _account(self) -> str:
        """A few accounts write a lot, most of them little."""
        return f"account-{int(ACCOUNTS * self._chance.random() ** 2):04}"

    def _id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _pick(self, among: Sequence[Any]) -> Any:
        return self._chance.choice(among)
