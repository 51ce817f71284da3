"""What a container of trees says of itself, whole and for people."""

from pathlib import Path

from utils.codec.opening import Trees
from utils.codec.reader import TREES
from utils.files import Json


def describe(path: str | Path) -> Json:
    """What a container of trees says of itself, with the bytes of its columns; JSON-safe."""
    with Trees(path, reads=False) as container:
        size = Path(path).stat().st_size
        found: Json = {
            columns.name: {
                "kind": columns.stored.kind,
                "entries": columns.entries,
                "columns": len(columns),
                "stream_bytes": columns.sizes(),
                **columns.networks(),
            }
            for columns in container.trees.values()
        }
        streams = sum(sum(tree["stream_bytes"].values()) + tree.get("network_bytes", 0) for tree in found.values())
        told = ("format", "codec", "versions", "chunks", "record", "digest")
        about = {key: container.attributes[key] for key in told if key in container.attributes}
        return about | {"trees": found, "bytes": size, "container_bytes": size - streams}


def shortened(content: Json, most: int = 12) -> Json:
    """What `inspect` says, for people: of whole trees, the columns with most bytes and the largest errors."""
    if content["codec"] != TREES:
        return content
    found = {}
    for name, tree in content["trees"].items():
        costliest = sorted(tree["stream_bytes"].items(), key=lambda item: -item[1])
        rest = {f"{len(costliest) - most} others": sum(size for _, size in costliest[most:])}
        found[name] = tree | {"stream_bytes": dict(costliest[:most]) | (rest if costliest[most:] else {})}
    record = content.get("record", {"trees": {}})
    told = {}
    for name, tree in record["trees"].items():
        worst = sorted(tree["bounded"].items(), key=lambda item: -item[1][-1])
        rest = {f"{len(worst) - most} others": "within their bounds"} if worst[most:] else {}
        told[name] = tree | {"bounded": dict(worst[:most]) | rest}
    return content | {"trees": found, "record": record | {"trees": told}}
