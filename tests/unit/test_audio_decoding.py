"""Recordings as strangers send them: every common format, and what only pretends to be one."""

import io
import socket
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="needs the extra: pip install 'safestream[audio]'")

from detectors.audio.decoding import RATE, WINDOW_SECONDS, windows
from detectors.media.errors import MediaError
from tests.sounds import FORMATS, Samples, encoded, silence, tone

MOST_SECONDS = 100
STATES_ITS_LENGTH = ("wav", "flac", "mp3", "m4a", "webm")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The same three seconds in each format."""
    return {kind: encoded(tone(3), kind) for kind in FORMATS}


def decoded(data: bytes) -> Samples:
    return np.concatenate(list(windows(data, MOST_SECONDS)))


def loudest_pitch(sound: Samples) -> float:
    """Hz."""
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_common_format_is_heard_as_what_it_holds(files: dict[str, bytes], kind: str) -> None:
    sound = decoded(files[kind])
    assert sound.dtype == np.float32
    assert abs(len(sound) / RATE - 3) < 0.2
    assert abs(loudest_pitch(sound) - 440) < 3
    assert 0.5 < np.abs(sound).max() / np.abs(tone(3)).max() < 2


def test_a_long_recording_comes_in_windows() -> None:
    lengths = [len(window) / RATE for window in windows(encoded(silence(75)), MOST_SECONDS)]
    assert lengths == [WINDOW_SECONDS, WINDOW_SECONDS, 15]


@pytest.mark.parametrize("other", [1.0, 0.0, -1.0, -0.7])
def test_channels_made_to_cancel_each_other_are_heard(other: float) -> None:
    """Whoever listens to both hears it; a mean would not."""
    sound = decoded(encoded([tone(2), other * tone(2)]))
    assert np.abs(sound).max() > 0.4 * np.abs(tone(2)).max()


@pytest.mark.parametrize("kind", STATES_ITS_LENGTH)
@pytest.mark.parametrize("part", [0.02, 0.5])
def test_a_file_that_ends_too_early_is_refused(files: dict[str, bytes], kind: str, part: float) -> None:
    with pytest.raises(MediaError):
        decoded(files[kind][: int(part * len(files[kind]))])


@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_is_changed_in_a_file_it_is_heard_or_refused(files: dict[str, bytes], kind: str) -> None:
    """Never another exception, never more sound than allowed."""
    random = np.random.default_rng(zlib.crc32(kind.encode()))
    for _ in range(30):
        spoilt = bytearray(files[kind])
        for place in random.integers(0, len(spoilt), random.integers(1, 60)):
            spoilt[place] = random.integers(256)
        try:
            assert len(decoded(bytes(spoilt))) <= MOST_SECONDS * RATE
        except MediaError as error:
            assert "\n" not in str(error)  # noqa: PT017 - it may well be heard


def test_a_file_full_of_damage_is_refused(files: dict[str, bytes]) -> None:
    spoilt = bytearray(files["aac"])
    spoilt[1000::50] = bytes(len(spoilt[1000::50]))
    with pytest.raises(MediaError):
        decoded(bytes(spoilt))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Somebody who would notice a request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {url}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>{url}</BaseURL></AdaptationSet></Period></MPD>',
    ],
)
def test_a_playlist_leads_nowhere(server: socket.socket, playlist: str) -> None:
    """FFmpeg would fetch what it names: from inside, as the worker."""
    url = f"http://127.0.0.1:{server.getsockname()[1]}/secret.wav"
    with pytest.raises(MediaError):
        decoded(playlist.format(url=url).encode())
    with pytest.raises(BlockingIOError):
        server.accept()


def test_what_is_no_recording_is_refused() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "PNG")
    header = encoded(tone(1), "wav")[:44]
    for data in (b"", b"hello", bytes(10_000), picture.getvalue(), b"RIFF" + bytes(100), header):
        with pytest.raises(MediaError):
            decoded(data)


def test_of_two_tracks_nobody_knows_which_is_heard() -> None:
    with pytest.raises(MediaError, match="2 sound tracks"):
        decoded(encoded(tone(1), "m4a", tracks=2))


@pytest.mark.parametrize("kind", ["flac", "opus", "amr"])
def test_a_recording_that_is_too_long_is_refused(kind: str) -> None:
    """Whether its header says so or not, and however small it is."""
    data = encoded(silence(MOST_SECONDS + 5), kind)
    with pytest.raises(MediaError, match="more than 100 seconds"):
        decoded(data)
