"""A file of `torch.save` is looked over before torch reads it: what it asks for, and what it may cost."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from tests.fuzz.weights import torch_file
from utils.jets import has_published, published_folder
from utils.networks import PUBLISHED_MODELS, CheckpointError, CustomNormalization, load_published

NAME = "AE_3D_200_no1cycle_custom_norm.pth"


def zipped(pickled: bytes, compression: int = zipfile.ZIP_STORED, **records: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", **records}.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def legacy(pickled: bytes) -> bytes:
    start = [torch.serialization.MAGIC_NUMBER, 1001, {}]
    return b"".join(pickle.dumps(part, 2) for part in start) + pickled + pickle.dumps([], 2)


def tuples() -> bytes:
    """A dict whose key holds a tuple twice, which holds one twice, ...: to hash it takes 2^60 steps."""
    doubled = b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(60))
    return b"\x80\x02}()q\x00" + doubled + b"K\x01u."


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(tuples()), "more than 20 tuples inside each other"),
        (legacy(tuples()), "more than 20 tuples inside each other"),
        (legacy(b"\x80\x02cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR."), "asks for builtins.bytearray"),
        (legacy(b"\x80\x02ctorch\nTensor\n(J\xff\xff\xff\x7ftR."), r"asks for torch\.Tensor"),
        (zipped(pickle.dumps({}, 2), zipfile.ZIP_DEFLATED, **{"data/0": bytes(10**7)}), "its records are compressed"),
        (zipped(pickle.dumps({}, 4)), "a pickle of protocol 4"),
        (saved({"en1.weight": torch.zeros(1).expand(10**6, 10**6)}), "tensors of 4000000000000 bytes in a file of"),
        (saved({"en999999.weight": torch.zeros(2, 2)}), "layers numbered up to 999999"),
        (saved({(1, 2): torch.zeros(2)}), "expected tensors by name"),
        (saved({"en1.weight": torch.eye(3).to_sparse()}), "refused|dense"),
        (b"\x80\x02" + b"(" * 1000, "not weights that fastai wrote"),
    ],
)
def test_what_would_cost_more_than_the_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"mine\.pth: .*{message}"):
        load_published(path, activation="tanh", normalization=CustomNormalization())


def test_a_record_that_does_not_fit_its_checksum_is_damaged(tmp_path: Path) -> None:
    weight = torch.arange(12.0) + 0.125
    content = bytearray(saved({"en1.weight": weight.reshape(3, 4), "en1.bias": torch.zeros(3)}))
    content[content.index(weight.numpy().tobytes()) + 5] ^= 1
    (tmp_path / "mine.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"the CRC-32 of its record .* does not fit"):
        load_published(tmp_path / "mine.pth", activation="elu", normalization=CustomNormalization())


def test_a_record_that_one_bit_makes_a_folder_is_no_zeros(tmp_path: Path) -> None:
    content = bytearray(torch_file(zipped=True))
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"archive/data/8"))
    content[entry + 38] ^= 0x10
    (tmp_path / "mine.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="a record is marked as a folder"):
        load_published(tmp_path / "mine.pth", activation="elu", normalization=CustomNormalization())


def test_a_file_with_the_name_of_a_published_one_is_it_or_says_what_it_is(tmp_path: Path) -> None:
    assert NAME in PUBLISHED_MODELS
    path = tmp_path / NAME
    path.write_bytes(torch_file(zipped=True))
    with pytest.raises(
        CheckpointError, match=r"not the published file of that name, or damaged: its git blob id is \w+"
    ):
        load_published(path)
    load_published(path, activation="elu", normalization=CustomNormalization())


@pytest.mark.skipif(not has_published(NAME), reason="the published files are not here")
def test_a_flipped_bit_of_a_published_model_is_an_error(tmp_path: Path) -> None:
    content = bytearray((published_folder() / NAME).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{NAME}: not the published file of that name, or damaged"):
        load_published(tmp_path / NAME)
