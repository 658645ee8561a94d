"""Recordings from strangers' bytes: a few formats, decoded window by window to 16 kHz mono, within limits.

FFmpeg reads what it likes of whatever it is given, playlists that name other files among it. So formats and codecs are
named here, nothing is opened but the bytes, and of the result no more than a window is in memory.

What a file loses at its end shows only where its format states a length (wav, flac, m4a, webm, mp3 with a Xing header):
a recording that ends early there is refused, as is one with damage in it. A file that players take for something else
than we do would be a way around the detector.
"""

import io
import time
from collections.abc import Iterator
from typing import Any, Final

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from detectors.media.errors import MediaError

RATE: Final = 16_000  # samples a second
WINDOW_SECONDS: Final = 30
DECODE_SECONDS: Final = 120.0  # most processor time for one file: ten times what two hours take
_FORMATS: Final = "aac,aiff,amr,caf,flac,matroska,mov,mp3,ogg,wav"
_CODECS: Final = (
    "aac,aac_latm,alac,amrnb,amrwb,flac,libopencore_amrnb,libopencore_amrwb,libopus,mp3,mp3float,opus,vorbis,"
    "pcm_alaw,pcm_f32be,pcm_f32le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_u8"
)
_OPTIONS: Final = {"format_whitelist": _FORMATS, "codec_whitelist": _CODECS, "protocol_whitelist": "none"}
_RATES: Final = range(4_000, 192_001)
_MOST_CHANNELS: Final = 8
_SPOILT: Final = 0.02  # of the packets: junk at either end is common, and no player minds
_STATES_LENGTH: Final = frozenset({"flac", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})
_CANCELLED: Final = 1 / 8  # of the louder channel's energy: two channels leave half of it or more, unless opposed

Samples = NDArray[np.float32]


def windows(data: bytes, max_seconds: float) -> Iterator[Samples]:
    """The recording as windows of 30 seconds, the last one shorter: mono, 16,000 samples a second, -1 to 1.

    Raises:
        MediaError: no recording of a known format, cut off, damaged, longer than `max_seconds`, or dear to decode.
    """
    if data[:4] == b"RIFF" and len(data) < int.from_bytes(data[4:8], "little") + 8 < 1 << 32:
        raise MediaError("a recording that is cut off")  # FFmpeg believes the file's size, not its header
    try:
        with av.open(io.BytesIO(data), "r", options=_OPTIONS, metadata_errors="ignore") as container:
            yield from _cut(_within(_blocks(container, _stream(container)), max_seconds, _stated(data, container)))
    except (av.FFmpegError, ValueError, IndexError, OSError, OverflowError) as error:
        raise MediaError(f"no recording that can be read: {type(error).__name__}") from None


def _stream(container: InputContainer) -> AudioStream:
    if len(container.streams.audio) != 1:  # of several tracks players choose one, and who knows which
        raise MediaError(f"{len(container.streams.audio)} sound tracks instead of one")
    stream = container.streams.audio[0]
    context = stream.codec_context
    if context is None or context.name not in _CODECS.split(",") or context.sample_rate not in _RATES:
        raise MediaError("a codec or a sample rate that is not read")
    if not 1 <= context.channels <= _MOST_CHANNELS:
        raise MediaError("more channels than are read")
    context.thread_count = 1
    return stream


def _stated(data: bytes, container: InputContainer) -> float:
    """Seconds that the file says it lasts; 0 where it does not say, or FFmpeg only guesses."""
    says = container.format.name in _STATES_LENGTH or (container.format.name == "mp3" and _has_xing_header(data))
    return (container.duration or 0) / 1e6 if says else 0.0


def _has_xing_header(data: bytes) -> bool:
    """In the first frame, behind an ID3v2 tag (whose size is written 7 bits a byte)."""
    start = 0
    if data[:3] == b"ID3":
        start = 10 + sum(byte << 7 * place for place, byte in enumerate(reversed(data[6:10])))
    return any(mark in data[start : start + 200] for mark in (b"Xing", b"Info"))


def _blocks(container: InputContainer, stream: AudioStream) -> Iterator[Samples]:
    """What is decoded, packet by packet, at our rate: (n,)."""
    layout = "mono" if stream.codec_context.channels == 1 else "stereo"
    resampler = AudioResampler(format="fltp", layout=layout, rate=RATE)
    packets = spoilt = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            frames = packet.decode()
        except av.FFmpegError:
            spoilt += 1
            if spoilt > 2 + _SPOILT * packets:
                raise MediaError("a recording with damage in it") from None
            continue
        for frame in frames:
            frame.pts = None  # its own clock: the resampler would refuse one that jumps
            yield from (_mono(block.to_ndarray()) for block in resampler.resample(frame))
    if packets > spoilt:
        yield from (_mono(block.to_ndarray()) for block in resampler.resample(None))


def _mono(channels: NDArray[Any]) -> Samples:
    """(channels, n) → (n,): the mean; the louder channel where they are made to cancel each other, as no ear does."""
    mean: Samples = channels.mean(axis=0)
    if len(channels) == 1:
        return mean
    energies = np.square(channels).sum(axis=1)
    if np.square(mean).sum() >= _CANCELLED * energies.max():
        return mean
    louder: Samples = channels[int(energies.argmax())]
    return louder


def _within(blocks: Iterator[Samples], max_seconds: float, stated: float) -> Iterator[Samples]:
    """The blocks, as long as the limits hold; at the end, whether it was as long as the file says."""
    too_long = MediaError(f"a recording of more than {max_seconds:g} seconds")
    if stated > max_seconds:
        raise too_long
    seconds = spent = 0.0
    began = time.thread_time()
    for block in blocks:
        seconds += len(block) / RATE
        spent += time.thread_time() - began
        if seconds > max_seconds:
            raise too_long
        if spent > DECODE_SECONDS:
            raise MediaError(f"a recording that takes more than {DECODE_SECONDS:g} seconds to decode")
        yield block
        began = time.thread_time()
    if seconds == 0 or seconds < 0.98 * stated - 1:
        raise MediaError("a recording that is cut off")


def _cut(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same sound in windows."""
    size, held, count = WINDOW_SECONDS * RATE, list[Samples](), 0
    for block in blocks:
        held.append(block)
        count += len(block)
        while count >= size:
            joined = np.concatenate(held)
            yield joined[:size]
            held, count = [joined[size:]], count - size
    if count:
        yield np.concatenate(held)
