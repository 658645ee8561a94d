"""Every detector of ours passes the suite that we hand to others."""

from detectors.conformance import Conformance
from detectors.interface import DetectorSpec


class TestText(Conformance):
    spec = DetectorSpec("text", {"precision": "float32", "device": "cpu"})


class TestLexicon(Conformance):
    spec = DetectorSpec("lexicon")


class TestNull(Conformance):
    spec = DetectorSpec("null")


class TestTripwire(Conformance):
    spec = DetectorSpec("tripwire", {"modalities": ["text", "image", "audio"]}, "tests.fault.tripwire:build")
