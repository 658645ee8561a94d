"""What the guard reads: a policy, then one message, then the place where the verdict stands.

    <system: policy, the question> <user: "Message:"> │ " one line of content" │ <end of turn, assistant:>
    prefix, the same for every message of a policy      content                 tail

The three parts are tokenised apart, so a policy's prefix is byte-identical for every message and its keys and values
are computed once. Content is data: it is one line, so it cannot begin a line of its own; the model's special tokens in
it are broken up as text and never tokenised as such, and so is what the template has in brackets; control and format
characters are gone.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer

from detectors.text.normalisation import normal_form
from schemas.errors import UserMistake

_POLICY: Final = "\0policy\0"  # neither can stand in a template or a policy: JSON and YAML refuse the character
_CONTENT: Final = "\0content\0"
_SPACES: Final = re.compile(r"\s+")
_MARKER: Final = re.compile(r"<[^<>\s][^<>\n]{0,60}>|\[[^\[\]\s][^\[\]\n]{0,60}\]")


class Turn(BaseModel):
    """One turn of the conversation; `{policy}` and `{content}` in `content` are replaced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the model's own chat template writes it, cut where policy and content stand."""

    head: str  # up to the policy
    middle: str  # between policy and content
    lead: str  # spaces before the content: part of it, because tokenizers join them with its first word
    tail: str  # after the content, up to where the verdict is read

    def prefix(self, policy: str) -> str:
        """The part that every message under a policy shares."""
        return self.head + policy + self.middle

    def markers(self) -> set[str]:
        """What it has in brackets: turns may be marked by plain text, as in `[/INST]` and `<END CONVERSATION>`."""
        return set(_MARKER.findall(f"{self.head}\n{self.middle}\n{self.tail}"))


def rendered(tokenizer: Any, messages: Sequence[Turn], cue: str = "") -> Prompt:
    """The messages by the tokenizer's chat template, then `cue`, the words that the verdict follows.

    Raises UserMistake if policy or content does not stand in it exactly once, in this order.
    """
    turns = [{"role": turn.role, "content": _marked(turn.content)} for turn in messages]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + cue
    parts = re.split(f"{_POLICY}|{_CONTENT}", text)
    if len(parts) != 3 or text.index(_POLICY) > text.index(_CONTENT):
        raise UserMistake("a guard's messages need {policy} once and, after it, {content} once")
    middle = parts[1].rstrip(" ")
    return Prompt(parts[0], middle, parts[1][len(middle) :], parts[2])


def _marked(text: str) -> str:
    return text.replace("{policy}", _POLICY).replace("{content}", _CONTENT)


def filled(messages: Sequence[Turn], policy: str, content: str) -> list[dict[str, str]]:
    """The messages for a server, which applies the chat template itself."""
    values: Mapping[str, str] = {"{policy}": policy, "{content}": content}

    def put(text: str) -> str:
        return re.sub(r"\{policy\}|\{content\}", lambda found: values[found[0]], text)  # one pass: no value is searched

    return [{"role": turn.role, "content": put(turn.content)} for turn in messages]


class Neutraliser:
    """Makes content harmless to the prompt, whatever stands in it. `special`: the model's tokens, and other markers."""

    def __init__(self, special: Iterable[str]) -> None:
        longest_first = sorted((token for token in special if len(token) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)", re.IGNORECASE)

    @classmethod
    def of(cls, tokenizer: Any, prompt: Prompt) -> Self:
        """For a model, asked in this way. UserMistake if content could end its own turn."""
        special = {*map(str, tokenizer.added_tokens_decoder.values()), *prompt.markers()}
        after = prompt.tail.lstrip(" ")
        if not after.startswith(("\n", *filter(None, special))):  # content has no line of its own
            raise UserMistake(f"after {{content}} comes {after[:20]!r}: content could write that itself, and go on")
        return cls(special)

    def __call__(self, text: str) -> str:
        """One line in normal form, without special tokens and control or format characters; perhaps empty."""
        text = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in normal_form(text))
        text = "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Co", "Cn"})
        text = _SPACES.sub(" ", text).strip()
        while (broken := self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)) != text:
            text = broken
        return text


class Pieces:
    """Prompt parts to token ids."""

    def __init__(self, trusted: Tokenizer, prompt: Prompt) -> None:
        """`trusted` knows the special tokens; content goes through a copy of it that doesn't."""
        self._trusted, self._prompt = trusted, prompt
        self._content = Tokenizer.from_str(trusted.to_str())
        for tokenizer in (self._trusted, self._content):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        self._content.encode_special_tokens = True
        self.tail: list[int] = self._ids(prompt.tail)

    def prefix(self, policy: str) -> list[int]:
        """Everything up to the content."""
        return self._ids(self._prompt.prefix(policy))

    def contents(self, windows: Sequence[str]) -> list[list[int]]:
        """Each neutral window and the tail after it."""
        encoded = self._content.encode_batch_fast([self._prompt.lead + text for text in windows], False)
        return [one.ids + self.tail for one in encoded]

    def label(self, word: str) -> int:
        """The one token that a verdict's word is. UserMistake if it is several."""
        ids = self._ids(word)
        if len(ids) != 1:
            raise UserMistake(
                f"the verdict {word!r} is {len(ids)} tokens of this model; name one that is a single token"
            )
        return ids[0]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._trusted.encode(text, add_special_tokens=False).ids
        return ids
