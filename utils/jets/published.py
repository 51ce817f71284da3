"""The files that the study published: which they are, where they lie, how to get them and check that they are whole.

The project holds none of them. It uses the folder that the environment variable COMPRESSIONHEP_PUBLISHED names, or the
one that `fetch_published` filled.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from utils.files import atomic_path, describe_content

FOLDER_VARIABLE = "COMPRESSIONHEP_PUBLISHED"

REPOSITORY = "honeygupta/CompressionHEP"

COMMIT = "3e103041b318d22e9b720fb5fe085421622ff0cd"

BASE_URL = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}"

TEST_SAMPLE = "all_jets_test_4D_100_percent.pkl"

TRAIN_SAMPLE = "all_jets_train_4D_100_percent.pkl"


@dataclass(frozen=True)
class PublishedFile:
    """A file of the published repository: its path there, and its git blob id."""

    path: str
    blob: str

    @property
    def name(self) -> str:
        """The file name alone."""
        return self.path.rpartition("/")[2]


FILES: dict[str, PublishedFile] = {
    file.name: file
    for file in (
        PublishedFile(f"datasets/{TEST_SAMPLE}", "62d635dee5e68b072157cc87caf869c190306e99"),
        PublishedFile(f"datasets/{TRAIN_SAMPLE}", "3ff1befd960e79de35d04f8a65d51203562310a5"),
        *(
            PublishedFile(f"CompressionHEP/models/AE_3D_200_{name}.pth", blob)
            for name, blob in (
                ("no1cycle_no_norm", "72633fd632dc5acce5f0a5423c2358cef064953c"),
                ("no1cycle_std_norm", "bc2545d5638da849eb29a166d938e6dd50f21e78"),
                ("no1cycle_custom_norm", "ac23541e7134b07e612882670324641bdcacb307"),
                ("ReLU_BN_custom_norm", "a24d18910530b50d12a026fa9a814ef5de457692"),
                ("ELU_BN_custom_norm", "94d51e813abd302e608694746bc9960b1e9cd267"),
                ("no1cycle_trainforever", "bbe06d3666fcabe79d983bab859c42d9b73663b0"),
            )
        ),
    )
}
"""The test and training samples and the six checkpoints, by file name."""


class PublishedFilesError(OSError):
    """A published file that is missing, is another file, or is out of reach; the message says what to do."""


class WrongFileError(PublishedFilesError, ValueError):
    """A file that is not the published one of its name; as a ValueError, pooch tries again."""


def git_blob_id(path: str | Path) -> str:
    """The id under which git stores a file: SHA-1 of "blob", its size and its content."""
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def published_folder() -> Path:
    """The folder of the published files: COMPRESSIONHEP_PUBLISHED where that is set, else one in the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()

    return Path(pooch.os_cache("compression-hep")) / "published"


def has_published(name: str, folder: str | Path | None = None) -> bool:
    """Whether a file of that name lies in the folder of the published files."""
    return (published_folder() if folder is None else Path(folder)).joinpath(name).is_file()


def missing_published(folder: str | Path | None = None) -> list[str]:
    """The published files that are not at hand, but for the training sample, which no comparison needs."""
    return [name for name in FILES if name != TRAIN_SAMPLE and not has_published(name, folder)]


def find_published(name: str, folder: str | Path | None = None) -> Path:
    """The path of a published file, checked by its git blob id; PublishedFilesError where it is missing or another."""
    folder = published_folder() if folder is None else Path(folder)
    path = folder / name
    if not path.is_file():
        raise PublishedFilesError(
            f"{name} is not in {folder}; get the published files with `compressionhep fetch`, or set {FOLDER_VARIABLE} "
            "to a folder that holds them"
        )
    require_published(path, name)
    return path


def require_published(path: Path, name: str) -> None:
    """Raise PublishedFilesError unless the file at `path` is the published file `name`, by its git blob id."""
    found = git_blob_id(path)
    if found != FILES[name].blob:
        what = describe_content(path) or "another file, or one cut short"
        raise WrongFileError(
            f"{path}: this is not the published {name} but {what}: {path.stat().st_size} bytes, git blob id {found}, "
            f"expected {FILES[name].blob}; remove it and run `compressionhep fetch`"
        )


def fetch_published(
    to: str | Path | None = None,
    *,
    base_url: str = BASE_URL,
    retries: int = 2,
    progress: bool = True,
) -> dict[str, str]:
    """Download the published files at the pinned commit into a folder; returns name -> "present" or "downloaded".

    `to` is `published_folder()` by default. Each file is checked by its git blob id and appears whole or not at all;
    those that are there already are left alone, so that an interrupted call goes on where it stopped, and a folder
    that holds all of them need not be writable. A file that arrives broken is tried again, `retries` times.
    Raises PublishedFilesError where one cannot be had.
    """
    folder = published_folder() if to is None else Path(to).expanduser()
    wanted = [name for name in FILES if not _is_whole(folder / name, name)]
    if wanted and folder.exists() and not _writable(folder):
        raise PublishedFilesError(
            f"{folder} cannot be written to, and lacks {', '.join(wanted)}; choose another folder with --to"
        )
    for name in wanted:
        _download(name, folder, base_url, retries, progress)
    return {name: "downloaded" if name in wanted else "present" for name in FILES}


def refuse_others(folder: str | Path) -> None:
    """Raise PublishedFilesError where a folder holds another file under the name of a published one."""
    for name in FILES:
        path = Path(folder).expanduser() / name
        if path.exists() and not _is_whole(path, name):
            raise PublishedFilesError(
                f"{path}: there already, and not the published file of that name; it is kept: move it away, choose "
                "another folder with --to, or replace it with --force"
            )


def _is_whole(path: Path, name: str) -> bool:
    return path.is_file() and git_blob_id(path) == FILES[name].blob


def _writable(folder: Path) -> bool:
    """Whether files may be added; the mode counts for the superuser too, whom the system would let."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


def _download(name: str, folder: Path, base_url: str, retries: int, progress: bool) -> None:
    """One file by pooch, which tries again where it comes broken; a wrong one that is there stays until then."""
    url = f"{base_url}/{FILES[name].path}"

    def checked(address: str, path: str, registry: pooch.Pooch) -> None:
        with tqdm(desc=name, total=1, unit="B", unit_scale=True, disable=not progress) as bar:
            pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16)(address, path, registry)
        require_published(Path(path), name)

    pooch.get_logger().setLevel("WARNING")
    with tempfile.TemporaryDirectory() as cache:
        files = pooch.create(cache, base_url, registry={name: None}, urls={name: url}, retry_if_failed=retries)
        try:
            whole = files.fetch(name, downloader=checked)
        except (requests.RequestException, PublishedFilesError) as error:
            raise PublishedFilesError(_advice(error, url, folder / name)) from error
        with atomic_path(folder / name) as partial:
            shutil.copyfile(whole, partial)


def _advice(error: Exception, url: str, path: Path) -> str:
    if isinstance(error, PublishedFilesError):
        return f"{url} gave a wrong file each time, nothing was kept: {error}"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{url} answered {error.response.status_code} {error.response.reason}; {path} was not written"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{url} broke off each time ({error}); {path} was not written; try again"
    return (
        f"{url} is out of reach ({type(error).__name__}); {path} was not written. When offline: fetch the files on "
        f"another machine with `compressionhep fetch --to DIR`, copy DIR here, and set {FOLDER_VARIABLE}=DIR"
    )
