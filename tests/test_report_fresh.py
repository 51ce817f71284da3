"""Results say what they were made from, and are out of date when that has changed."""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from utils.files import REPOSITORY, manage_folder, write_json
from utils.networks import Autoencoder, AutoencoderConfig, Checkpoint, CustomNormalization, load_checkpoint
from utils.provenance import code_digest, code_of, source_commit
from utils.report import Outcome, is_fresh, record_commit, record_made, reference_metrics, result_digest, used_files
from utils.study import forget_trainings, save_model

CODE = "from utils import jets, plotting\nsample = jets.load_sample()\nplotting.plot_losses(None, None, 0)"


def notebook_of(path: Path, code: str, words: str = "words") -> Path:
    nbformat.write(new_notebook(cells=[new_markdown_cell(words), new_code_cell(code)]), path)
    return path


def names(source: str) -> set[str]:
    return {path.relative_to(REPOSITORY / "utils").as_posix() for path in used_files(source)}


def test_the_files_that_code_uses_are_those_behind_the_names_of_faces_and_what_they_import() -> None:
    used = names(CODE)
    assert {"jets/samples.py", "jets/read.py", "plotting/training.py", "plotting/style.py", "files/records.py"} <= used
    assert not [name for name in used if name.startswith(("codec", "cli", "report")) or name == "plotting/rates.py"]
    assert "codec/compression.py" in names("from utils.codec import compress")
    assert names("from utils.text import Table") == {"text.py"}
    assert names("import numpy as np") == set()


@pytest.mark.parametrize(
    "notebook", sorted((REPOSITORY / "CompressionHEP").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_every_notebook_has_a_digest(notebook: Path) -> None:
    assert len(result_digest(notebook, {})) == 64


def test_prose_changes_no_digest_and_code_and_parameters_do(tmp_path: Path) -> None:
    made = [
        result_digest(notebook_of(tmp_path / "a.ipynb", CODE), {"seed": 0, "output": "here"}),
        result_digest(notebook_of(tmp_path / "b.ipynb", CODE + "  # a comment", "other words"), {"seed": 0}),
        result_digest(notebook_of(tmp_path / "c.ipynb", CODE + "\njets.number_of_events(sample.test)"), {"seed": 0}),
        result_digest(tmp_path / "a.ipynb", {"seed": 1}),
    ]
    assert made[0] == made[1]
    assert len(set(made[1:])) == 3


def test_code_without_its_prose() -> None:
    plain = "class A:\n    x = 1\n\n    def f(self):\n        return 'words'"
    talked = [
        "class A:",
        "    'An A.'",
        "    x = 1",
        "    'One.'",
        "    def f(self):  # f",
        "        'It.'",
        "        return ('words')",
    ]
    assert code_of("\n".join(talked)) == code_of(plain) == plain
    assert code_of("def f():\n    'nothing but words'") == "def f():\n    pass"


def test_files_of_one_name_count_by_their_place() -> None:
    root = REPOSITORY / "utils"
    assert code_digest([root / "jets/__init__.py"]) != code_digest([root / "codec/__init__.py"])


def test_a_result_is_up_to_date_as_long_as_it_is_whole_and_nothing_it_depends_on_changed(tmp_path: Path) -> None:
    notebook = notebook_of(tmp_path / "1x. Test.ipynb", CODE)
    plots, models = manage_folder(tmp_path / "out") / "plots", tmp_path / "out" / "models"
    folder = plots / notebook.stem
    folder.mkdir(parents=True)
    models.mkdir()
    assert not is_fresh(notebook, {}, plots)
    (folder / "losses.png").touch()
    (folder / "metrics.json").write_text('{"seed": 0, "commit": "an older one"}')
    failed = Outcome(notebook.stem, 1.0, notebook, None, (), "an error")
    outcome = Outcome(notebook.stem, 12.3, notebook, None, (folder / "losses.png", folder / "metrics.json"))
    with pytest.raises(ValueError, match="not as this project wrote it"):
        record_made([outcome], {notebook: {}}, plots)
    content = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").unlink()
    write_json(folder / "metrics.json", content, recorded=True)
    record_made([failed], {notebook: {}}, plots)
    assert not is_fresh(notebook, {}, plots)
    record_made([outcome], {notebook: {}}, plots)
    assert is_fresh(notebook, {}, plots)
    assert not is_fresh(notebook, {"seed": 1}, plots)
    assert json.loads((folder / "metrics.json").read_text())["made"]["seconds"] == 12
    checkpoint = Checkpoint(Autoencoder(AutoencoderConfig((4, 3, 4))), CustomNormalization(), {"commit": "older"})
    save_model(models / "a.safetensors", checkpoint, {})
    record_commit(plots, models)
    assert json.loads((folder / "metrics.json").read_text())["commit"] == source_commit()
    assert load_checkpoint(models / "a.safetensors").metadata["commit"] == source_commit()
    assert is_fresh(notebook, {}, plots)
    (folder / "losses.png").unlink()
    assert not is_fresh(notebook, {}, plots)


def test_forgotten_trainings_are_removed_and_nothing_else_is(tmp_path: Path) -> None:
    folder = manage_folder(tmp_path / "trainings")
    checkpoint = Checkpoint(Autoencoder(AutoencoderConfig((4, 3, 4))), CustomNormalization())
    save_model(folder / "a.safetensors", checkpoint, {})
    forget_trainings(folder)
    assert not list(folder.glob("*.*safetensors"))
    (folder / "mine.json").write_text("{}")
    with pytest.raises(ValueError, match="not as this project wrote it"):
        forget_trainings(folder)
    assert (folder / "mine.json").exists()
    forget_trainings(tmp_path / "none")


def test_all_reference_results_are_of_one_commit() -> None:
    commits = {name: content.get("commit") for name, content in reference_metrics().items()}
    models = (REPOSITORY / "models").glob("*.safetensors")
    commits |= {path.name: load_checkpoint(path).metadata.get("commit") for path in models}
    assert len(set(commits.values())) == 1, commits
    assert not str(commits.popitem()[1]).endswith("+"), "made from code that no commit holds"


def test_the_commit_of_a_result_is_the_last_that_changed_more_than_results_and_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(*files: str) -> str:
        for name in files:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            with (tmp_path / name).open("a") as file:
                file.write("more\n")
        git("add", ".")
        git("commit", "-m", "more")
        return git("rev-parse", "HEAD")

    monkeypatch.setattr("utils.provenance.REPOSITORY", tmp_path)
    git("init")
    code = commit("utils/a.py", "CompressionHEP/README.md")
    commit("plots/1 a.png", "CompressionHEP/README.md", "README.md", "models/a.safetensors")
    assert source_commit() == code
    (tmp_path / "CompressionHEP" / "README.md").write_text("as a run writes it")
    assert source_commit() == code
    (tmp_path / "utils" / "a.py").write_text("changed")
    assert source_commit() == f"{code}+"
    git("checkout", ".")
    notebook = commit("CompressionHEP/1 a.ipynb", "plots/1 a.png")
    assert source_commit() == notebook
