"""A face is one more signal where the event carries consent, and is not looked at anywhere else."""

import base64
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from detectors.age import detector as age
from detectors.age.model import AgeCard
from detectors.age.spec import Spec
from detectors.age.table import table_of
from detectors.interface import DetectorSpec
from detectors.items import Items
from detectors.media import shared
from detectors.media.limits import Limits
from detectors.training.age.estimating import calibrated, estimator_for
from detectors.training.age.rows import checked
from detectors.training.age.saving import save
from schemas.ages import reaching
from schemas.attachments import Attachment
from schemas.columns import Events
from schemas.errors import UserMistake
from schemas.folder import BUILT_IN, Folder, read_schema
from schemas.roles import CONSENTED, BadRole, resolve
from tests.fault.scoring import clients, score
from tests.people import QUICK

pytestmark = pytest.mark.skipif(find_spec("dlib") is None, reason="needs the extra: pip install 'safestream[face]'")

SIGNALS = {"followers": 60}
AGREED = {**SIGNALS, CONSENTED: True}


def drawn_face(side: int = 300) -> Image.Image:
    """Nobody's, and face enough for the one who looks for it."""
    image = Image.new("RGB", (side, side), (120, 130, 140))
    draw = ImageDraw.Draw(image)
    hair, skin = (60, 40, 30), (224, 180, 150)
    for box, colour in (((60, 20, 240, 200), hair), ((75, 40, 225, 270), skin), ((60, 20, 240, 110), hair)):
        draw.ellipse(box, fill=colour)
    draw.ellipse((80, 70, 220, 260), fill=skin)
    for x in (118, 182):
        for (wide, top, bottom), colour in (
            ((20, 118, 142), (150, 110, 90)),
            ((16, 124, 140), (245, 245, 245)),
            ((7, 124, 139), (40, 30, 30)),
        ):
            draw.ellipse((x - wide, top, x + wide, bottom), fill=colour)
        draw.rectangle((x - 22, 104, x + 22, 111), fill=(70, 45, 35))
    draw.polygon(((150, 135), (136, 178), (164, 178)), fill=(200, 150, 120))
    draw.ellipse((120, 205, 180, 228), fill=(160, 70, 70))
    return image.filter(ImageFilter.GaussianBlur(2.5))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def attached(uri: str) -> tuple[Attachment, ...]:
    return (Attachment("image", uri),)


FACE = attached("data:image/png;base64," + base64.b64encode(png(drawn_face())).decode())
NOBODY = attached("data:image/png;base64," + base64.b64encode(png(Image.new("RGB", (300, 300), "grey"))).decode())
BROKEN = attached("data:image/png;base64,AAAA")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learnt from a small drawn table that has the signal."""
    rng = np.random.default_rng(3)
    ages = rng.integers(8, 70, 900)
    columns: dict[str, Any] = {
        "age": ages.tolist(),
        "followers": rng.poisson(60, 900).tolist(),
        "face_age": [None if rng.random() < 0.3 else float(each) for each in ages + rng.normal(0, 3, 900)],
    }
    spec = Spec.model_validate({"target": "age", "signals": {"followers": "count", "face_age": "number"}})
    rows = checked(table_of(columns), spec)
    learnt, apart = rows.take(np.arange(600)), rows.take(np.arange(600, 900))
    estimator = estimator_for(learnt, spec, QUICK, lambda _: None)
    card = AgeCard(name="tiny", summary="For tests.", licence="", languages=(), evaluation={"none": 0}, files={})
    folder = tmp_path_factory.mktemp("face") / "model"
    save(calibrated(estimator, apart, estimator(apart.table)), card, folder)
    return folder


def test_only_a_face_with_consent_is_a_signal(model: Path):
    rows = [(SIGNALS, ()), (AGREED, FACE), (SIGNALS, FACE), (AGREED, NOBODY), (AGREED, BROKEN), (AGREED, ())]
    signals, attachments = zip(*rows, strict=True)
    events = Events.unplaced([""] * 6, [""] * 6, attachments, signals)
    with clients() as start:
        found = score(start(DetectorSpec("age", {"model": str(model), "face": True})), events)
        without = score(start(DetectorSpec("age", {"model": str(model)})), events)
    assert not found.status.any()
    said, unseen = found.age["age"], without.age["age"]
    np.testing.assert_allclose(said[[2, 3, 4, 5]], said[[0] * 4], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(unseen, said[[0] * 6], rtol=1e-4, atol=1e-6)
    assert abs(reaching(said, 35)[1] - reaching(said, 35)[0]) > 0.2
    assert found.versions != without.versions
    assert found.reused is None or not found.reused.any()  # what comes with a picture is never taken for another


def test_a_picture_is_fetched_for_this_alone_and_kept_nowhere(model: Path, tmp_path: Path):
    (tmp_path / "face.png").write_bytes(png(drawn_face()))
    detector = age.build({"model": str(model), "face": True})
    shared.use(Limits(allow=(f"file://{tmp_path}/",)))
    try:
        detector.warm()
        hints: list[int] = []
        picture = attached((tmp_path / "face.png").as_uri())
        answer = detector.score(Items(["", ""], ["", ""], [(), picture], [AGREED, AGREED]), hints.append)
        assert not len(shared.fetcher()._remembered)
    finally:
        shared.use(Limits())
    assert answer.age is not None
    assert abs(answer.age[0] - answer.age[1]).max() > 0.05
    assert 1 in hints  # signs of life while it looks


def test_a_producer_can_not_say_what_a_face_shows_once_we_look_ourselves(model: Path):
    detector = age.build({"model": str(model), "face": True})
    detector.warm()
    told = [SIGNALS, {**SIGNALS, "face_age": 60.0}]
    answer = detector.score(Items(["", ""], ["", ""], [(), ()], told), lambda _: None)
    assert answer.age is not None
    np.testing.assert_allclose(answer.age[0], answer.age[1], rtol=1e-4, atol=1e-6)


def test_a_model_that_has_not_learnt_the_signal_is_refused():
    with pytest.raises(UserMistake, match="has learnt no signal face_age"):
        age.build({"face": True})


def test_consent_is_a_field_of_the_schema_and_false_unless_said():
    raw = read_schema(Folder(BUILT_IN).drafts()["content.profile-signals"])
    roles = resolve(raw)
    assert roles.signals_of({"followers": 3, "face_consent": True}) == {"followers": 3, CONSENTED: True}
    assert roles.signals_of({"followers": 3, "face_consent": False}) == {"followers": 3}
    assert roles.signals_of({"followers": 3}) == {"followers": 3}
    text = {"type": "record", "name": "R", "fields": [{"name": "c", "type": "string", "role": "face_consent"}]}
    with pytest.raises(BadRole, match="field c: the role face_consent needs a boolean"):
        resolve(text)
