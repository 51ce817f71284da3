"""Where the repository is."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


class CloneError(ValueError):
    """Something that a clone of the repository holds, and the installed package does not."""


def require_clone(path: Path, what: str) -> None:
    """Raise CloneError where a file or folder of the repository is not there, since the package alone is installed."""
    if not path.exists() and not (REPOSITORY / "CompressionHEP").is_dir():
        raise CloneError(
            f"{what} ({path.name}) belongs to the repository, and only the package is installed here; run this in a "
            "clone, with `pip install -e .`"
        )
