"""A command on many files: the campaign, and what is said of it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from utils.campaign import campaign_text, resolution_text, run_campaign
from utils.cli.messages import note, say
from utils.files import write_json
from utils.text import listing


def run_many(
    operation: str,
    files: Sequence[str],
    settings: Mapping[str, Any],
    *,
    folder: str | None = None,
    suffix: str | tuple[str, str] = "",
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    json_path: str | None,
) -> int:
    """Apply an operation to many files, print what came of it, and return 1 where a file failed or lost something.

    Arguments as in `run_campaign`; the numbers go to `json_path` as well.
    """
    sources = [os.path.expanduser(name) for name in files]
    where: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "dashboard": dashboard}
    campaign = run_campaign(operation, sources, folder, settings, suffix=suffix, **where)
    lost = [f"{row['name']}: {line}" for row in campaign.rows for line in row.get("lost", [])]
    alike: dict[str, list[str]] = {}
    for row in campaign.rows:
        for line in row["read"]:
            alike.setdefault(line, []).append(row["name"])
    for line, names in alike.items():
        note(f"reading {listing(names, 3)}: {line}")
    for row in campaign.rows:
        for notice in row["notices"]:
            note(notice)
    for line in lost:
        say(f"compressionhep: lost: {line}", err=True)
    say(campaign_text(campaign))
    together = {"resolution": campaign.resolution()} if operation == "evaluate" else {}
    if together and campaign.totals["jets"]:
        say(resolution_text(together["resolution"]))
    if json_path is not None:
        write_json(json_path, campaign.to_dict() | together)
    return 1 if campaign.failures or lost else 0
