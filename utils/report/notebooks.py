"""Notebooks: finding them, sharing parameters among them, running them in batch with papermill."""

import ast
import difflib
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

import nbformat
from nbconvert.filters import strip_ansi
from papermill import execute_notebook
from papermill.exceptions import PapermillExecutionError
from papermill.models import Parameter
from papermill.translators import PythonTranslator
from tqdm import tqdm

from utils.cluster import available_cores
from utils.files import (
    REPOSITORY,
    OutputError,
    manage_folder,
    recorded_path,
    refuse_unrecorded,
    remove_leftovers,
    require_clone,
    same_file,
)
from utils.report.kernels import SIDE_BY_SIDE, OwnKernelManager, sharing_kernels
from utils.report.pages import write_page

NOTEBOOKS = REPOSITORY / "CompressionHEP"

TIMED = ("Execution_time_calculation",)
"""Notebooks that time this machine: nothing runs beside them."""

ALL_THREADS = ("Memory_allocation_trace",)
"""Those that measure what all threads take, whatever runs beside them: they do not share the threads out."""

BESIDE_TRAININGS = ("6. Networks_and_bits",)
"""Those that take no training of the study, and longer than any other: they begin beside the trainings."""

READERS = ("3. Rate_distortion", "Memory_allocation_trace")
"""Those that take the models which the notebooks before the first of them leave; the `TIMED` ones do as well."""

Parameters = Mapping[str, object]
"""Values for a notebook's parameters, by name."""


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook; `error` is None where it ran to its end. `seconds` are those of the clock.

    `files` are those that the run wrote into the notebook's folder of plots. `page` is None where there is no copy to
    show.
    """

    name: str
    seconds: float
    executed: Path
    page: Path | None
    files: tuple[Path, ...]
    error: str | None = None

    @property
    def status(self) -> str:
        """ok or failed."""
        return "ok" if self.error is None else "failed"


def find_notebooks(names: Sequence[str] = (), folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks that `names` mean: files, or names or unique beginnings of names in `folder`; all of it by default.

    Raises ValueError where a name means none or several, or two notebooks bear the same name.
    """
    known = sorted(folder.glob("*.ipynb"), key=lambda path: path.stem)
    if not names and not known:
        require_clone(folder, "the notebooks")
        raise ValueError(f"no notebooks in {folder}; name notebook files")
    chosen = list(dict.fromkeys(_find_notebook(name, known) for name in names)) if names else known
    stems = [path.stem for path in chosen]
    for path in chosen:
        if stems.count(path.stem) > 1:
            raise ValueError(f"two of the notebooks are called {path.stem!r}; their results would overwrite each other")
    return chosen


def _find_notebook(name: str, known: list[Path]) -> Path:
    path = Path(name)
    if path.is_file():
        if path.suffix != ".ipynb":
            raise ValueError(f"{name} is not a notebook: expected a file ending in .ipynb")
        return path.resolve()
    wanted = name.removesuffix(".ipynb").casefold()
    exact = [candidate for candidate in known if candidate.stem.casefold() == wanted]
    found = exact or [candidate for candidate in known if candidate.stem.casefold().startswith(wanted)]
    if len(found) == 1:
        return found[0]
    listed = "\n  ".join(candidate.stem for candidate in found or known)
    if found:
        raise ValueError(f"{name!r} is the beginning of {len(found)} notebooks:\n  {listed}")
    raise ValueError(f"no notebook file and no beginning of a notebook's name: {name!r}; there are\n  {listed}")


def declared_parameters(path: Path) -> list[str]:
    """Names that the notebook's cell tagged `parameters` assigns; none without such a cell."""
    return [parameter.name for parameter in _tagged_parameters(path)]


def _tagged_parameters(path: Path) -> list[Parameter]:
    tagged = (cell for cell in _read(path).cells if "parameters" in cell.metadata.get("tags", []))
    return [parameter for cell in islice(tagged, 1) for parameter in PythonTranslator.inspect(cell)]


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        notebook = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a notebook: {str(error)[:100]}") from error
    language = _language(notebook.metadata)
    if not language.casefold().startswith(("python", "ipython")):
        raise ValueError(f"{path} is a notebook in {language}; only those in Python are run")
    return notebook


def _language(metadata: Mapping[str, Mapping[str, str]]) -> str:
    """The language that a notebook says it is in, Python where it says none."""
    kernel, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    return kernel.get("language") or info.get("name") or "python"


def share_parameters(notebooks: Iterable[Path], common: Parameters, asked: Parameters) -> dict[Path, dict[str, object]]:
    """The parameters of each notebook: of `common` and `asked` those that it declares; `asked` goes first.

    Raises ValueError where no notebook declares one that was asked for, where a value is of another kind than the
    declared one (a text for a number), and for a notebook of another language.
    """
    notebooks = list(notebooks)
    declared = {path: declared_parameters(path) for path in notebooks}
    for path in notebooks:
        _check_values(path, asked)
    anywhere = sorted({name for names in declared.values() for name in names})
    for name in asked:
        if name not in anywhere:
            raise ValueError(f"no selected notebook has a parameter {name!r}; {_nearest(name, anywhere)}")
    merged = {**common, **asked}
    return {path: {name: merged[name] for name in names if name in merged} for path, names in declared.items()}


WHOLE_NUMBERS = ("steps", "seed", "max_jets", "refine", "workers")
"""Parameters of the project's notebooks that are whole numbers, though the default of some is None."""


def _check_values(path: Path, asked: Parameters) -> None:
    """Refuse what can't be a value of the notebook's parameters, as far as their names and defaults tell."""
    for parameter in _tagged_parameters(path):
        if parameter.name not in asked:
            continue
        value = asked[parameter.name]
        try:
            default = ast.literal_eval(parameter.default)
        except (ValueError, SyntaxError):
            continue
        kind = int if default is None and parameter.name in WHOLE_NUMBERS else type(default)
        if kind not in KINDS or value is None:
            continue
        types, words = KINDS[kind]
        if type(value) not in types:
            raise ValueError(f"parameter {parameter.name}: expected {words}, found {value!r}")


KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
}
"""The types that may stand where a default is of one, and what they are called."""


def _nearest(name: str, known: list[str]) -> str:
    if not known:
        return "none of them declares any (in a cell tagged parameters)"
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


def run_notebooks(
    notebooks: Mapping[Path, Parameters],
    folder: str | Path,
    plots: str | Path | None = None,
    trainings: Callable[[], object] | None = None,
) -> list[Outcome]:
    """Execute notebooks with papermill, each in its own folder and in the running interpreter.

    `notebooks` maps each notebook to its parameters. Executed copies and HTML pages go to `folder`/notebooks, also
    those of notebooks that failed. `plots` is where the notebooks write (`folder`/plots by default), a folder for each.
    They run one after the other; or, with `trainings`, which leaves those of all of them for them to find, on more
    than one core `SIDE_BY_SIDE` at a time, as `_run_side_by_side` has it, and those that are `TIMED` alone at the end.
    Progress goes to standard error: a bar over all cells on a terminal, a line per notebook elsewhere. Raises
    OutputError, before anything runs, where something would be replaced that is not a run's own.
    """
    folder = Path(folder).resolve()
    plots = folder / "plots" if plots is None else Path(plots)
    _refuse_outputs(notebooks, manage_folder(folder))
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    bases = {folder, plots.resolve().parent}
    for base in bases:
        remove_leftovers(base)
    shared = [path for path in notebooks if path.stem not in TIMED] if trainings and available_cores() > 1 else []
    with (
        sharing_kernels() if shared else nullcontext(OwnKernelManager) as sharing,
        _Progress({path: len(_read(path).cells) for path in notebooks}) as progress,
    ):

        def run(path: Path) -> Outcome:
            own = progress.start(path)
            manager = sharing if path in shared and path.stem not in ALL_THREADS else OwnKernelManager
            outcome = _run_notebook(path, notebooks[path], folder / "notebooks", plots / path.stem, own, manager)
            own.finish(outcome)
            return outcome

        outcomes = _run_side_by_side(shared, run, trainings or (lambda: None))
        outcomes |= {path: run(path) for path in notebooks if path not in outcomes}
    for base in bases:
        remove_leftovers(base)  # of kernels that died
    return [outcomes[path] for path in notebooks]


def _run_side_by_side(
    notebooks: Sequence[Path], run: Callable[[Path], Outcome], trainings: Callable[[], object]
) -> dict[Path, Outcome]:
    """The outcome of each notebook, `SIDE_BY_SIDE` at a time: those of `BESIDE_TRAININGS` from the beginning, the
    others behind the `trainings`, and `READERS` after all that stand before the first of them; what is neither fills
    the time until those are done. Where `run` or `trainings` raise, no other notebook begins."""
    futures: dict[Path, Future[Outcome]] = {}
    first = [path for path in notebooks if path.stem in BESIDE_TRAININGS]
    rest = [path for path in notebooks if path not in first]
    readers = [path for path in rest if path.stem in READERS]
    makers = rest[: rest.index(readers[0])] if readers else []
    others = [path for path in reversed(rest) if path not in makers and path not in readers]

    def run_in_turn(path: Path) -> Outcome:
        if path in readers:
            wait([futures[other] for other in makers])
        return run(path)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        futures |= {path: pool.submit(run, path) for path in first}
        try:
            trainings()
            for path in [*reversed(makers), *others, *readers]:
                futures[path] = pool.submit(run_in_turn, path)
            for future in as_completed(futures.values()):
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    return {path: future.result() for path, future in futures.items()}


def _refuse_outputs(notebooks: Iterable[Path], folder: Path) -> None:
    """Raise OutputError, before anything runs, where the copies and the report of a run would replace what is not its
    own."""
    names = ["summary.json", "summary.md", "index.html"]
    names += [f"notebooks/{path.stem}{suffix}" for path in notebooks for suffix in (".ipynb", ".html")]
    for name in names:
        for path in notebooks:
            if same_file(path, folder / name):
                raise OutputError(f"{path}: would be replaced by its executed copy; choose another output folder")
        refuse_unrecorded(folder / name)


def _run_notebook(
    path: Path,
    parameters: Parameters,
    copies: Path,
    plots: Path,
    progress: "_NotebookProgress",
    manager: type[OwnKernelManager],
) -> Outcome:
    executed, page = copies / path.name, copies / f"{path.stem}.html"
    before = _modification_times(plots)
    start = time.perf_counter()
    error = None
    with recorded_path(executed) as partial:
        shutil.copyfile(path, partial)
        try:
            execute_notebook(
                _literal(path),
                _literal(partial),
                dict(parameters),
                kernel_name="python3",
                language="python",
                resources={"metadata": {"path": str(path.absolute().parent)}},  # cwd= is one for all threads
                progress_bar=False,
                kernel_manager_class=manager,
                extra_arguments=["--log-level=CRITICAL"],
                on_cell_start=progress.cell,
            )
        except PapermillExecutionError as failure:
            error = f"cell {progress.number} (In [{failure.exec_count}]): {failure.ename}: {failure.evalue}"
        except Exception as failure:
            error = f"cell {progress.number}: {type(failure).__name__}: {failure}"
    seconds = time.perf_counter() - start
    files = tuple(file for file, modified in _modification_times(plots).items() if before.get(file) != modified)
    write_page(executed, page)
    return Outcome(path.stem, seconds, executed, page, files, None if error is None else strip_ansi(error))


def _literal(path: Path) -> str:
    """A path as papermill takes it, which fills in braces."""
    return str(path.resolve()).replace("{", "{{").replace("}", "}}")


def _modification_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob("*")) if path.is_file()}


class _Progress:
    """One bar over the cells of all notebooks on a terminal, plain lines for each notebook elsewhere."""

    def __init__(self, cells: Mapping[Path, int]) -> None:
        self.cells = cells
        self.started = 0
        self.bar = tqdm(total=sum(cells.values()), unit="cell", disable=None, dynamic_ncols=True)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.close()

    def start(self, path: Path) -> "_NotebookProgress":
        """The progress of one notebook, which begins."""
        with tqdm.get_lock():
            self.started += 1
            return _NotebookProgress(f"[{self.started}/{len(self.cells)}]", path.stem, self.cells[path], self.bar)


class _NotebookProgress:
    """How far one notebook is: `number` is that of its cell."""

    def __init__(self, label: str, name: str, cells: int, bar: tqdm) -> None:
        self.label, self.name, self.cells, self.bar = label, name, cells, bar
        self.number = 0
        if bar.disable:
            self._say("started")

    def cell(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Called by papermill before each cell; the one with the injected parameters isn't in the source."""
        if "injected-parameters" in cell.metadata.get("tags", []):
            return
        self.number += 1
        self.bar.set_description(f"{self.label} {self.name[:30]}", refresh=False)
        self._advance(1)

    def finish(self, outcome: Outcome) -> None:
        """Say what became of it."""
        self._advance(self.cells - self.number)
        if outcome.error is None:
            self._say(f"done in {outcome.seconds:.0f} s")
        else:
            self._say(f"FAILED after {outcome.seconds:.0f} s in {outcome.error}\n  kept: {outcome.executed}")

    def _advance(self, cells: int) -> None:
        with tqdm.get_lock():
            self.bar.n += cells
        self.bar.refresh()

    def _say(self, text: str) -> None:
        tqdm.write(f"{self.label} {self.name}: {text}", file=sys.stderr)
        sys.stderr.flush()
