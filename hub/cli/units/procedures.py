"""Commands of the catalogue of procedures: ``hub procedures load``."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.shared.context import located, policy_path, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Execute
from hub.cli.shared.screen import Screen, plain, say_json
from hub.model.policies.policy import load_policy


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "procedures", "The catalogue of administrative procedures (thủ tục hành chính).", load)


def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The catalogue: a CSV, or the portal's answer in JSON.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="The source that publishes it; by default the only one that the policy allows."),
    ] = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Publish the catalogue of procedures (thủ tục hành chính) from a file, if no portal publishes it to this hub yet.

    Dossiers (hồ sơ) refer to procedures; until the hub knows these, all submissions wait (parked). The policy must have
    a source that may speak of `procedure.changed`. What it has already said is not sent again, so a file may be loaded
    twice.
    A file says everything that the source says of a procedure: a field that the file lacks becomes empty.

    **JSON**: the answer of the national portal's service `LayThuTuc` or `LayDanhSachTTHC`, unchanged:
    `{"result": [{"MATTHC": ..., "TENTTHC": ...}]}`, or a list of such answers. What the hub has no field for is
    left empty and listed.

    **CSV** in UTF-8. The first line names the columns. Required: `procedure_code`, `name`. Optional:
    `procedure_code_base`, `field_code`, `field_name`, `level` (MINISTRY, PROVINCE, COMMUNE), `executing_agency`,
    `executing_agency_name`, `online_level` and `old_online_level` (INFO, PARTIAL, FULL), `requirements`,
    `decision_number`, `decision_date`, `state` (PUBLISHED, AMENDED, REPEALED), `valid_from`, `valid_to`,
    `interlinked`, `non_territorial`, `essential`. Days are like 2025-07-01, yes and no are true and false.

    **Examples**

    - `hub procedures load thu-tuc.csv` — what it would publish
    - `hub procedures load lay-thu-tuc.json --execute`
    """
    from hub.operate.procedures.publishing import plan_catalogue, publish_catalogue, source_that_may
    from hub.operate.procedures.reading import read_file

    found, now = read_file(file), datetime.now(UTC)
    settings, places = located()
    speaker = source_that_may(load_policy(policy_path(settings)), source, now)
    written = min(now, datetime.fromtimestamp(file.stat().st_mtime, UTC))
    engine = warehouse(settings, places, "hub procedures")
    try:
        plan = plan_catalogue(engine, speaker, found.rows, written)
    finally:
        engine.dispose()
    published = publish_catalogue(places, plan) if execute else 0
    if as_json:
        left_empty = [asdict(one) for one in found.left_empty]
        say_json(plan.as_json() | {"left_empty": left_empty, "published": published, "executed": execute})
        return
    console = Screen(soft_wrap=True)
    counts = f"{plan.rows:,} procedures: {plan.new:,} new, {plan.changed:,} changed, {plan.same:,} unchanged"
    console.print(plain(f"{speaker.code}: {counts}"))
    for one in found.left_empty:
        told = f"left empty: {one.field} of {one.procedures:,} procedures, e.g. {one.example}: {one.why}"
        console.print(plain(told))
    console.print(f"{published:,} events published" if execute else "nothing is published; add --execute")
