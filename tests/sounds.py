"""Sounds for tests: recordings of speech, a melody, noise; and files of every format that hold them."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from detectors.audio.decoding import RATE, windows
from schemas.attachments import Attachment
from schemas.roles import Role

RECORDINGS = Path(__file__).parent / "recordings"
# name → container, codec, sample rate, bit rate
FORMATS = {
    "wav": ("wav", "pcm_s16le", 44_100, 0),
    "flac": ("flac", "flac", 48_000, 0),
    "opus": ("ogg", "libopus", 48_000, 32_000),
    "mp3": ("mp3", "libmp3lame", 22_050, 48_000),
    "m4a": ("ipod", "aac", 44_100, 64_000),
    "aac": ("adts", "aac", 16_000, 48_000),
    "webm": ("webm", "libopus", 48_000, 32_000),
    "amr": ("amr", "libopencore_amrnb", 8_000, 12_200),
}

Samples = NDArray[np.float32]


def melody(seconds: float) -> Samples:
    """Four notes a second on something like a piano."""
    sound = np.zeros(int(seconds * RATE), np.float32)
    for number, pitch in zip(
        range(int(seconds * 4)), [261.6, 329.6, 392.0, 523.2, 392.0, 329.6] * 10_000, strict=False
    ):
        at, t = number * RATE // 4, np.arange(int(0.4 * RATE)) / RATE
        note = sum(np.sin(2 * np.pi * pitch * harmonic * t) / harmonic for harmonic in (1, 2, 3, 4)) * np.exp(-4 * t)
        sound[at : at + len(t)] += (0.1 * note)[: len(sound) - at].astype(np.float32)
    return sound


def tone(seconds: float, pitch: float = 440) -> Samples:
    return (0.3 * np.sin(np.arange(int(seconds * RATE)) * (2 * np.pi * pitch / RATE))).astype(np.float32)


def noise(seconds: float) -> Samples:
    """White."""
    return np.random.default_rng(7).normal(scale=0.05, size=int(seconds * RATE)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.float32)


def speech(name: str) -> Samples:
    """One of the recordings."""
    return np.concatenate(list(windows((RECORDINGS / f"{name}.ogg").read_bytes(), 60)))


def encoded(channels: Samples | Iterable[Samples], kind: str = "flac", tracks: int = 1) -> bytes:
    """A file that holds this sound, (n,) or (channels, n) at 16 kHz."""
    container, codec, rate, bits = FORMATS[kind]
    sound = np.atleast_2d(np.asarray(channels))
    layout = "mono" if len(sound) == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        streams = [out.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        for stream in streams:
            stream.bit_rate = bits
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, np.float32), format="fltp", layout=layout)
            frame.sample_rate = RATE
            resampler = AudioResampler(
                stream.codec_context.format, layout, rate, stream.codec_context.frame_size or 4096
            )
            for each in (*resampler.resample(frame), *resampler.resample(None), None):
                out.mux(stream.encode(each))
    return file.getvalue()


def attached(data: bytes) -> Attachment:
    """The file in an event."""
    return Attachment(Role.AUDIO, f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}")
