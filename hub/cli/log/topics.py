"""Commands of the topics: ``hub topics ensure`` and ``hub topics list``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from hub.cli.shared.context import located
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Execute
from hub.cli.shared.screen import Screen, say_json, screen, styled
from hub.topology import Topic, topics

if TYPE_CHECKING:
    from hub.operate.log.topics import TopicPlan, TopicState

_MEANT = ("cleanup.policy", "retention.ms", "min.insync.replicas", "max.message.bytes")


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "topics", "The topics of the hub.", ensure, list_topics)


def ensure(
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Make topics as they are wanted: create missing ones, add partitions, alter settings.

    Prints the plan; `--execute` carries it out. It may be repeated; it deletes nothing and removes no partition. What
    it cannot correct (replicas, partitions of compacted topics) is named with the reason.

    **Examples**

    - `hub topics ensure`
    - `hub topics ensure --execute`
    - `HUB_PARTITIONS=8 hub topics ensure --json`
    """
    from hub.operate.log.topics import create_topics, mend_topics, plan_topics  # heavy: the log's client

    settings, places = located()
    with Screen(stderr=True).status("asking the cluster"):
        plan = plan_topics(places.bootstrap, topics(settings.partitions), settings.replication)
        if execute:
            create_topics(places.bootstrap, plan.missing, settings.replication)
            mend_topics(places.bootstrap, plan.drifts)
    if as_json:
        missing = [topic.name for topic in plan.missing]
        drifts = [asdict(drift) for drift in plan.drifts]
        say_json({"missing": missing, "present": plan.present, "drifts": drifts, "executed": execute})
        return
    _show_plan(plan, execute)


def list_topics(as_json: AsJson = False) -> None:
    """List the hub's topics as they are on the cluster: partitions, replicas, important settings.

    Exit code 1 if one is missing.

    **Examples**

    - `hub topics list`
    - `hub topics list --json`
    """
    from hub.operate.log.topics import topic_states  # heavy: the log's client

    settings, places = located()
    wanted = topics(settings.partitions)
    states = topic_states(places.bootstrap, wanted)
    if as_json:
        there = [asdict(state) for state in states.values()]
        say_json({"topics": there, "missing": [topic.name for topic in wanted if topic.name not in states]})
    else:
        screen().print(topics_table(wanted, states))
    if len(states) < len(wanted):
        raise typer.Exit(1)


def topics_table(wanted: tuple[Topic, ...], states: "Mapping[str, TopicState]") -> Table:
    """Render topics; a missing topic is marked as missing."""
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", overflow="fold")
    for heading in ("parts", "replicas"):
        table.add_column(heading, justify="right")
    for heading in ("cleanup", "retention", "min insync", "record MiB"):
        table.add_column(heading, justify="right", overflow="fold")
    for topic in wanted:
        state = states.get(topic.name)
        if state is None:
            table.add_row(topic.name, styled("[red]missing[/red]"))
            continue
        cleanup, retention, least, most = (state.config.get(name, "") for name in _MEANT)
        shown = (cleanup, _days(retention), least, f"{int(most or 0) / 2**20:.0f}")
        table.add_row(topic.name, str(state.partitions), str(state.replicas), *shown)
    return table


def _days(retention_ms: str) -> str:
    if retention_ms == "-1":
        return "for ever"
    return f"{int(retention_ms or 0) / 86_400_000:.0f} d"


def _show_plan(plan: "TopicPlan", executed: bool) -> None:
    console = screen()
    if plan.missing:
        table = Table("topic", "partitions", "configuration", box=None)
        for topic in plan.missing:
            table.add_row(topic.name, str(topic.partitions), " ".join(f"{k}={v}" for k, v in topic.config.items()))
        console.print(table)
    if plan.drifts:
        console.print(drift_table(plan))
    if not plan.missing and not plan.drifts:
        console.print(f"all {len(plan.present)} topics are there, as they are wanted")
    elif executed:
        console.print(f"{len(plan.missing)} topics created, {len(plan.to_mend)} differences corrected")
    else:
        console.print(
            f"{len(plan.missing)} topics would be created, {len(plan.to_mend)} differences corrected; add --execute"
        )


def drift_table(plan: "TopicPlan") -> Table:
    """Render how topics differ from what is wanted, and what is done about it."""
    table = Table(box=None, pad_edge=False)
    for heading in ("topic", "what", "now", "wanted", ""):
        table.add_column(heading, overflow="fold")
    for drift in plan.drifts:
        left = styled("[yellow]left: {}[/yellow]", drift.left_because) if drift.left_because else "corrected"
        table.add_row(drift.topic, drift.what, drift.now, drift.wanted, left)
    return table
