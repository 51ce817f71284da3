"""The published files arrive whole or not at all, and their weights load without running anything."""

import os
import pickle
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastai.basics import DataLoader, DataLoaders, Learner
from torch import nn

from utils.cli import main
from utils.jets import (
    FEATURES,
    PublishedFile,
    PublishedFilesError,
    feature_array,
    fetch_published,
    find_published,
    git_blob_id,
    has_published,
    load_published_jets,
    published,
)
from utils.networks import (
    PUBLISHED_MODELS,
    PUBLISHED_NORMALIZATION,
    VARIANTS,
    Autoencoder,
    AutoencoderConfig,
    CheckpointError,
    CustomNormalization,
    load_checkpoint,
    load_published,
    reconstruct,
    save_checkpoint,
)

needs_published = pytest.mark.skipif(
    not all(has_published(name) for name in (published.TEST_SAMPLE, *PUBLISHED_MODELS)),
    reason="the published files are not at hand: `compressionhep fetch`, or set COMPRESSIONHEP_PUBLISHED",
)

# ---- fetching ------------------------------------------------------------------------------------------------------

CONTENTS = {"first.pkl": b"a" * 50_000, "second.pth": b"b" * 3_000}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    answers: dict[str, list]
    requested: list[str]
    hold: threading.Event
    url: str


class Handler(BaseHTTPRequestHandler):
    """Answers each path by the next of its planned answers, the last of them for ever."""

    server: Server

    def do_GET(self):
        server = self.server
        server.requested.append(self.path)
        answers = server.answers[self.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, int):
            self.send_error(answer)
            return
        content, sent = answer if isinstance(answer, tuple) else (answer, len(answer))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])
        self.wfile.flush()
        if server.hold.is_set():
            time.sleep(30)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server of two made-up published files; `answers` plans what it gives for each path."""
    files = {name: PublishedFile(f"data/{name}", _blob(content)) for name, content in CONTENTS.items()}
    monkeypatch.setattr(published, "FILES", files)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(("127.0.0.1", 0), Handler)
    server.answers = {f"/data/{name}": [content] for name, content in CONTENTS.items()}
    server.requested, server.hold = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _blob(content):
    result = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    return result.stdout.decode().strip()


def test_a_git_blob_id_is_what_git_says(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"jets\n" * 1000)
    assert git_blob_id(path) == _blob(path.read_bytes())


def test_fetch_downloads_what_is_missing_and_nothing_else(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    assert fetch_published(folder, base_url=server.url, progress=False) == dict.fromkeys(CONTENTS, "downloaded")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS
    (folder / "second.pth").unlink()
    server.requested.clear()
    assert fetch_published(folder, base_url=server.url, progress=False) == {
        "first.pkl": "present",
        "second.pth": "downloaded",
    }
    assert server.requested == ["/data/second.pth"]


def test_fetch_shows_its_progress(server, tmp_path, capsys):
    fetch_published(tmp_path, base_url=server.url)
    assert "first.pkl: 100%" in capsys.readouterr().err


def test_a_read_only_folder_with_all_files_is_used_as_it_is(server, tmp_path):
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    tmp_path.chmod(0o555)
    assert fetch_published(tmp_path, base_url=server.url) == dict.fromkeys(CONTENTS, "present")
    assert server.requested == []
    tmp_path.chmod(0o755)


def test_a_read_only_folder_that_lacks_a_file_is_an_error(server, tmp_path):
    (tmp_path / "first.pkl").write_bytes(CONTENTS["first.pkl"])
    tmp_path.chmod(0o555)
    with pytest.raises(PublishedFilesError, match=r"cannot be written to, and lacks second\.pth"):
        fetch_published(tmp_path, base_url=server.url)
    tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    "broken",
    [b"<html>rate limit</html>", 503, (CONTENTS["first.pkl"], 1000), b"another file"],
    ids=["html page", "server error", "cut short", "wrong content"],
)
def test_a_broken_download_is_tried_again(server, tmp_path, broken):
    server.answers["/data/first.pkl"] = [broken, CONTENTS["first.pkl"]]
    fetch_published(tmp_path, base_url=server.url, progress=False)
    assert (tmp_path / "first.pkl").read_bytes() == CONTENTS["first.pkl"]
    assert server.requested.count("/data/first.pkl") == 2


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"<html>rate limit</html>", r"gave a wrong file each time, .* but an HTML or XML page .* 23 bytes"),
        (404, r"answered 404 Not Found; .*first\.pkl was not written"),
        ((CONTENTS["first.pkl"], 1000), r"broke off each time .*; .*first\.pkl was not written"),
        (b"another file", r"another file, or one cut short: 12 bytes, git blob id \w+, expected \w+"),
    ],
    ids=["html page", "not found", "cut short", "wrong content"],
)
def test_a_download_that_stays_broken_is_an_error_and_leaves_nothing(server, tmp_path, broken, message):
    server.answers["/data/first.pkl"] = [broken]
    with pytest.raises(PublishedFilesError, match=message):
        fetch_published(tmp_path, base_url=server.url, progress=False)
    assert server.requested == ["/data/first.pkl"] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_that_is_there_is_replaced_only_by_the_right_one(server, tmp_path):
    path = tmp_path / "first.pkl"
    path.write_text("an earlier, broken download")
    server.answers["/data/first.pkl"] = [503]
    with pytest.raises(PublishedFilesError):
        fetch_published(tmp_path, base_url=server.url, progress=False)
    assert path.read_text() == "an earlier, broken download"
    server.answers["/data/first.pkl"] = [CONTENTS["first.pkl"]]
    fetch_published(tmp_path, base_url=server.url, progress=False)
    assert path.read_bytes() == CONTENTS["first.pkl"]


def test_offline_the_message_says_what_to_do(server, tmp_path, monkeypatch, capsys):
    server.shutdown()
    server.server_close()
    monkeypatch.setattr(published, "fetch_published", partial(fetch_published, base_url=server.url, retries=0))
    assert main(["fetch", "--to", str(tmp_path)]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "out of reach" in message
    assert f"`compressionhep fetch --to DIR`, copy DIR here, and set {published.FOLDER_VARIABLE}=DIR" in message


def test_a_download_that_is_killed_leaves_no_file_of_that_name(server, tmp_path):
    name = published.TEST_SAMPLE
    server.answers[f"/datasets/{name}"] = [(b"x" * 10_000, 5_000)]
    server.hold.set()
    code = f"from utils.jets import fetch_published; fetch_published({str(tmp_path)!r}, base_url={server.url!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 900
    while not server.requested and process.poll() is None and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    process.kill()
    process.wait()
    assert server.requested == [f"/datasets/{name}"]
    assert not (tmp_path / name).exists()


# ---- published weights ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published_jets():
    return feature_array(load_published_jets())


@needs_published
def test_the_published_jets_are_those_of_the_study(published_jets):
    m, pt, phi, eta = published_jets.T
    assert len(published_jets) == 27_945
    assert (np.sum(m == 0), np.sum(m < 0)) == (64, 31)
    assert m.min() == pytest.approx(-4.5e-5, rel=0.02)
    assert pt.min() == pytest.approx(20.00007, abs=1e-5)
    assert np.abs(phi).max() == pytest.approx(3.1415, abs=1e-4)
    assert np.abs(eta).max() == pytest.approx(4.78, abs=0.005)


@needs_published
@pytest.mark.parametrize("name", PUBLISHED_MODELS)
def test_a_published_model_survives_being_saved_in_this_projects_format(name, tmp_path, published_jets):
    loaded = load_published(find_published(name))
    assert loaded.metadata["source"]["published"].endswith(f"/CompressionHEP/models/{name}")
    save_checkpoint(tmp_path / "model.safetensors", loaded)
    again = load_checkpoint(tmp_path / "model.safetensors")
    jets = published_jets[:200]
    assert np.array_equal(reconstruct(loaded, jets), reconstruct(again, jets))


@needs_published
def test_the_pretrained_model_is_the_network_in_its_own_feature_order():
    path = find_published("AE_3D_200_no1cycle_trainforever.pth")
    weights = torch.load(path, map_location="cpu", weights_only=True)["model"]
    x = torch.linspace(-1, 1, 20).reshape(5, 4)
    y = x
    for i, layer in enumerate([f"{half}{i}" for half in ("en", "de") for i in (1, 2, 3, 4)]):
        y = nn.functional.linear(torch.tanh(y) if i else y, weights[f"{layer}.weight"], weights[f"{layer}.bias"])
    order = [("pt", "eta", "phi", "m").index(name) for name in FEATURES]
    with torch.inference_mode():
        ours = load_published(path).model(x[:, order])
    torch.testing.assert_close(ours, y[:, order])


@needs_published
def test_a_renamed_copy_is_known_by_its_content(tmp_path):
    copy = tmp_path / "mine.pth"
    copy.write_bytes(find_published("AE_3D_200_ELU_BN_custom_norm.pth").read_bytes())
    loaded = load_published(copy)
    assert loaded.model.config == VARIANTS["elu_bn"]
    assert loaded.normalization == CustomNormalization()


def test_standardizing_in_mev_by_moments_in_mev_is_the_same():
    jets = np.array([[8.0, 60.0, 1.0, -2.0], [0.0, 20.0, -3.0, 4.0]])
    scale = np.array([1e3, 1e3, 1, 1])
    mean, std = np.array(PUBLISHED_NORMALIZATION.offset), np.array(PUBLISHED_NORMALIZATION.scale)
    in_mev = (jets * scale - mean * scale) / (std * scale)
    np.testing.assert_allclose(in_mev, PUBLISHED_NORMALIZATION.normalize(jets))


# ---- weights of one's own ------------------------------------------------------------------------------------------

SMALL = {
    "tanh": AutoencoderConfig((4, 12, 5, 2, 5, 12, 4), "tanh"),
    "linear": AutoencoderConfig((4, 6, 3, 6, 4), None),
    "elu": AutoencoderConfig((4, 9, 3, 9, 4), "elu", batch_norm=True),
}


def small_model(kind):
    torch.manual_seed(1)
    model = Autoencoder(SMALL[kind])
    model.train()(torch.randn(64, 4))  # gives BatchNorm means and variances of its own
    return model.eval()


def in_en_de_names(state):
    """A state dict of an `Autoencoder` without BatchNorm under the names of the published tanh models."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    half = len(layers) // 2
    called = dict(zip(layers, [f"{part}{i + 1}" for part in ("en", "de") for i in range(half)], strict=True))
    return {f"{called[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}


def same_outputs(checkpoint, model):
    x = torch.linspace(-1, 1, 40).reshape(10, 4)
    with torch.inference_mode():
        torch.testing.assert_close(checkpoint.model(x), model(x))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "with optimizer"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_weights_of_any_widths_load_from_fastai_1_files(tmp_path, kind, bare, zipped):
    model = small_model(kind)
    state = model.state_dict()
    state = state if model.config.batch_norm else in_en_de_names(state)
    optimizer = {"betas": (np.float64(0.9), 0.99)}
    content = state if bare else {"model": state, "opt": optimizer}
    torch.save(content, tmp_path / "mine.pth", _use_new_zipfile_serialization=zipped)
    loaded = load_published(tmp_path / "mine.pth", activation=kind, normalization=CustomNormalization())
    assert loaded.model.config == model.config
    same_outputs(loaded, model)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("with_opt", [True, False])
def test_what_fastai_2_saves_loads(tmp_path, kind, with_opt):
    model = small_model(kind)
    jets = torch.randn(32, 4)
    loader = DataLoader(list(zip(jets, jets, strict=True)), bs=16)
    learner = Learner(DataLoaders(loader, loader), model, loss_func=nn.MSELoss(), path=tmp_path, model_dir=".")
    with learner.no_logging():
        learner.fit(1)
    learner.save("mine", with_opt=with_opt)
    loaded = load_published(tmp_path / "mine.pth", activation=kind, normalization=CustomNormalization())
    same_outputs(loaded, model.cpu().eval())


def test_weights_trained_on_another_order_of_the_features_are_permuted(tmp_path):
    model = small_model("tanh")
    torch.save(in_en_de_names(model.state_dict()), tmp_path / "mine.pth")
    features = ("eta", "m", "phi", "pt")
    loaded = load_published(
        tmp_path / "mine.pth", activation="tanh", normalization=CustomNormalization(), features=features
    )
    x = torch.linspace(-1, 1, 40).reshape(10, 4)
    columns = [FEATURES.index(name) for name in features]
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(x)[:, columns], model(x[:, columns]))


def test_weights_that_are_not_published_need_an_activation_and_a_normalization(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(in_en_de_names(small_model("tanh").state_dict()), path)
    with pytest.raises(CheckpointError, match=r"do not say the activation .* pass activation= .*tanh.*linear"):
        load_published(path, normalization=CustomNormalization())
    with pytest.raises(CheckpointError, match="do not say the normalization"):
        load_published(path, activation="tanh")


def changed(state, change):
    state = dict(state)
    change(state)
    return state


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("tanh", lambda s: s.pop("de2.bias"), r"missing: de2\.bias$"),
        ("tanh", lambda s: s.pop("de3.weight"), r"missing: de3\.weight$"),
        ("tanh", lambda s: (s.pop("en1.weight"), s.pop("en2.weight")), r"missing: en1\.weight, en2\.weight$"),
        ("tanh", lambda s: s.update(extra=torch.ones(1)), r"unexpected: extra$"),
        ("tanh", lambda s: s.update({"en1.bias": torch.ones(3)}), r"en1\.bias has shape \(3,\), expected \(12,\)$"),
        ("tanh", lambda s: s.update({"en1.bias": 3.0}), r"en1\.bias has shape float, expected \(12,\)$"),
        ("elu", lambda s: s.pop("encoder.2.running_mean"), r"missing: encoder\.2\.running_mean$"),
        ("elu", lambda s: s.pop("decoder.3.weight"), r"missing: decoder\.3\.weight$"),
        ("elu", lambda s: s.update({"decoder.1.weight": torch.ones(1)}), r"unexpected: decoder\.1\.weight$"),
    ],
)
def test_layers_missing_and_unexpected_are_listed(tmp_path, kind, change, message):
    state = small_model(kind).state_dict()
    state = changed(state if kind == "elu" else in_en_de_names(state), change)
    torch.save({"model": state, "opt": {}}, tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=message):
        load_published(tmp_path / "mine.pth", activation=kind, normalization=CustomNormalization())


def test_another_network_lists_what_is_missing_and_unexpected(tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"missing: de1\.bias, .*en4\.weight; unexpected: bias, weight$"):
        load_published(tmp_path / "mine.pth", activation="tanh", normalization=CustomNormalization())


def test_a_network_of_other_than_four_values_is_refused(tmp_path):
    model = Autoencoder(AutoencoderConfig((27, 10, 27)))
    torch.save(in_en_de_names(model.state_dict()), tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"widths \(27, 10, 27\); expected 4 values a jet"):
        load_published(tmp_path / "mine.pth", activation="tanh", normalization=CustomNormalization())


# ---- files that are no weights -------------------------------------------------------------------------------------


class Payload:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch {self.victim}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["alone", "beside the weights", "among the weights"])
def test_a_payload_is_refused_by_name_and_not_run(tmp_path, zipped, place):
    victim = tmp_path / "victim"
    state = in_en_de_names(small_model("tanh").state_dict())
    content = {
        "alone": Payload(victim),
        "beside the weights": {"model": state, "opt": Payload(victim)},
        "among the weights": state | {"en1.bias": Payload(victim)},
    }[place]
    path = tmp_path / "AE_3D_200_no1cycle_custom_norm.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"refused, and nothing in it was run: it asks for posix\.system"):
        load_published(path)
    assert not victim.exists()


def test_a_payload_in_a_plain_pickle_is_refused_by_name_and_not_run(tmp_path):
    (tmp_path / "mine.pth").write_bytes(pickle.dumps(Payload(tmp_path / "victim"), protocol=2))
    with pytest.raises(CheckpointError, match=r"refused, and nothing in it was run: it asks for posix\.system"):
        load_published(tmp_path / "mine.pth")
    assert not (tmp_path / "victim").exists()


def test_a_whole_model_or_an_exported_learner_is_refused_with_advice(tmp_path):
    torch.save(small_model("tanh"), tmp_path / "model.pth")
    with pytest.raises(
        CheckpointError, match=r"asks for utils\.networks\.autoencoder\.Autoencoder.* the weights alone"
    ):
        load_published(tmp_path / "model.pth")
    torch.save(Learner.__new__(Learner), tmp_path / "export.pkl")
    with pytest.raises(
        CheckpointError, match=r"asks for fastai\.learner\.Learner.* save the weights alone, with `Learner\.save`"
    ):
        load_published(tmp_path / "export.pkl")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_truncated_weights_are_an_error(tmp_path, zipped):
    whole, path = tmp_path / "whole.pth", tmp_path / "mine.pth"
    torch.save(in_en_de_names(small_model("tanh").state_dict()), whole, _use_new_zipfile_serialization=zipped)
    content = whole.read_bytes()
    for length in (1, 20, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"mine\.pth: not weights that fastai wrote"):
            load_published(path, activation="tanh", normalization=CustomNormalization())


@pytest.mark.parametrize(
    ("content", "found"), [(b"<html>404</html>", "an HTML or XML page"), (b"", "an empty file")], ids=["html", "empty"]
)
def test_what_a_failed_download_leaves_is_named(tmp_path, content, found):
    path = tmp_path / "AE_3D_200_no1cycle_custom_norm.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"expected weights that fastai wrote .*, found {found}"):
        load_published(path)


def test_a_missing_file_and_a_file_without_tensors_are_errors(tmp_path):
    with pytest.raises(CheckpointError, match=r"mine\.pth: no such file"):
        load_published(tmp_path / "mine.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="holds a list, expected the named tensors"):
        load_published(tmp_path / "list.pth")


def test_nothing_stays_allowlisted_after_loading(tmp_path):
    torch.save({"model": in_en_de_names(small_model("tanh").state_dict())}, tmp_path / "mine.pth")
    before = torch.serialization.get_safe_globals()
    load_published(tmp_path / "mine.pth", activation="tanh", normalization=CustomNormalization())
    assert set(torch.serialization.get_safe_globals()) == set(before)
