"""Every detector of ours passes the suite that we hand to others."""

import base64
from importlib.util import find_spec
from pathlib import Path

import pytest

from detectors.conformance import Conformance
from detectors.interface import DetectorSpec
from detectors.items import Attachment
from schemas.roles import Role

INSULT = (Path(__file__).parents[1] / "recordings" / "idiot.ogg").read_bytes()
SAID = Attachment(Role.AUDIO, f"data:audio/ogg;base64,{base64.b64encode(INSULT).decode()}")


class TestText(Conformance):
    spec = DetectorSpec("text", {"precision": "float32", "device": "cpu"})


@pytest.mark.skipif(find_spec("faster_whisper") is None, reason="needs the extra: pip install 'safestream[audio]'")
class TestAudio(Conformance):
    spec = DetectorSpec("audio", {"text": {"precision": "float32", "device": "cpu"}, "device": "cpu"})
    items = (*Conformance.items, ("", "", (SAID,)))


class TestLexicon(Conformance):
    spec = DetectorSpec("lexicon")


class TestAge(Conformance):
    spec = DetectorSpec("age")


class TestNull(Conformance):
    spec = DetectorSpec("null")


class TestTripwire(Conformance):
    spec = DetectorSpec("tripwire", {"modalities": ["text", "image", "audio"]}, "tests.fault.tripwire:build")
