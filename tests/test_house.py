"""The house: which way imports go, what the faces hand on, and what is loaded only when it is used."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from utils.files import REPOSITORY
from utils.networks import (
    ACTIVATIONS,
    LOSS_KINDS,
    LOSSES,
    NORMALIZATION_KINDS,
    NORMALIZATIONS,
    Autoencoder,
    AutoencoderConfig,
)
from utils.training import OPTIMIZER_FUNCTIONS, OPTIMIZERS

UTILS = REPOSITORY / "utils"
PACKAGES = sorted(path.parent for path in UTILS.rglob("__init__.pyi"))
LOCAL_IMPORTS = {
    "utils/__init__.py": {"importlib"},
    "utils/cli/codec.py": {"utils"},
    "utils/cli/jets.py": {"utils"},
    "utils/cli/models.py": {"utils"},
    "utils/cli/study.py": {"utils"},
    "utils/cli/train.py": {"fastai", "utils"},
    "utils/cli/trees.py": {"utils"},
    "utils/jets/calorimeter.py": {"fastjet", "pythia8mc"},
    "utils/jets/formats/hdf5.py": {"hdf5plugin"},
    "utils/study/methods.py": {"pysz", "zfpy"},
}
"""What may be imported inside functions: by commands, for the start-up of the command line; and optional extras."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements of a file, and whether each stands inside a function."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, id(node) in inside


def roots(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return {name.split(".")[0] for name in names}


def test_arrows_go_down_and_nowhere_in_circles() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_import_hides_in_a_function_but_those_that_are_named() -> None:
    found: dict[str, set[str]] = {}
    for path in UTILS.rglob("*.py"):
        for node, local in imports_of(path):
            if local:
                found.setdefault(path.relative_to(REPOSITORY).as_posix(), set()).update(roots(node))
    assert found == LOCAL_IMPORTS


def test_no_file_goes_by_the_face_of_its_own_package() -> None:
    """A package may be named to reach a package or module inside it, as in `from utils.jets import formats`."""
    own_face = []
    for path in UTILS.rglob("*.py"):
        parents = {module_name(parent / "__init__.py") for parent in path.parents if parent in PACKAGES}
        for node, _ in imports_of(path):
            if isinstance(node, ast.ImportFrom) and node.module in parents:
                folder = REPOSITORY / node.module.replace(".", "/")
                names = [alias.name for alias in node.names if not (folder / alias.name).is_dir()]
                own_face += [f"{path.relative_to(REPOSITORY)}: {node.module}: {name}" for name in names]
    assert own_face == []


@pytest.mark.parametrize("package", PACKAGES, ids=module_name)
def test_a_face_hands_on_names_and_does_nothing_else(package: Path) -> None:
    statements = ast.parse((package / "__init__.py").read_text()).body
    assert [type(statement) for statement in statements] == [ast.Expr, ast.Import, ast.Assign]
    face = importlib.import_module(module_name(package / "__init__.py"))
    assert face.__all__
    for name in face.__all__:
        assert getattr(face, name) is not None, name


def test_every_room_is_a_package_that_the_build_takes_along() -> None:
    folders = {path.parent for path in UTILS.rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def loaded(code: str, *names: str) -> list[str]:
    """Which of the modules are there after some code ran in a process of its own."""
    code += f"\nimport sys; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


HEAVY = ("torch", "fastai", "sklearn", "scipy", "matplotlib", "papermill", "distributed")


def test_the_faces_cost_nothing_that_is_not_used() -> None:
    faces = "from utils import campaign, cli, codec, jets, metrics, networks, plotting, report, study, training, trees"
    assert loaded(faces, *HEAVY, "numpy", "pandas", "uproot") == []
    assert loaded("from utils.jets import read_jets", *HEAVY, "uproot", "h5py") == []


def test_the_codec_and_the_formats_of_jets_need_no_torch(tmp_path: Path) -> None:
    code = f"""
from utils.codec import compress, decompress, inspect
from utils.jets import convert_jets, summarize_jets
folder = {str(tmp_path)!r}
compress("datasets/qcd_jets_test.parquet", folder + "/jets.zarr.zip", workers=1)
decompress(folder + "/jets.zarr.zip", folder + "/jets.root", workers=1)
convert_jets(folder + "/jets.root", folder + "/jets.h5")
summarize_jets(folder + "/jets.h5")
"""
    assert loaded(code, *HEAVY) == []


def test_names_that_cost_nothing_are_those_of_what_they_name() -> None:
    assert tuple(NORMALIZATIONS) == NORMALIZATION_KINDS
    assert tuple(LOSSES) == LOSS_KINDS
    assert tuple(OPTIMIZER_FUNCTIONS) == OPTIMIZERS
    for name in ACTIVATIONS:
        assert Autoencoder(AutoencoderConfig(activation=name)).encoder[1] is not None


def test_test_files_are_named_for_what_they_test() -> None:
    rooms = {module_name(path).removeprefix("utils.").replace(".", "_") for path in UTILS.rglob("*.py")}
    others = {"house", "notebooks", "packaging", "docs"}
    names = {path.stem.removeprefix("test_") for path in (REPOSITORY / "tests").glob("test_*.py")}
    assert names - rooms - others == set()
