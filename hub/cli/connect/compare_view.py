"""How ``hub connect compare`` prints what it found and did."""

from rich.table import Table

from hub.cli.connect.one_compare import SourceCompared
from hub.cli.shared.screen import Screen, plain, screen
from hub.operate.compare.found import DIFFERENCES, Compared, Kind, key_as_json

_WORDS = {
    Kind.MISSING: "missing in the hub",
    Kind.DIFFERS: "other content",
    Kind.LEFT_OVER: "left over in the hub",
    Kind.ACCOUNTED: "published, but with another outcome",
    Kind.MOVING: "still moving",
}


def print_comparison(done: SourceCompared, most_keys: int, executed: bool) -> None:
    """Print counts, the first keys of each kind, and what a repair would do or did."""
    console = screen()
    table = Table("subject", "rows", "claims", *(kind.replace("_", " ") for kind in Kind), "rejects", title=done.source)
    table.title_justify = "left"
    for one in done.found:
        counts = [f"{one.counts[kind]:,}" for kind in Kind]
        aside = sum(one.unmapped.values())
        table.add_row(one.subject, f"{one.source_rows:,}", f"{one.claims:,}", *counts, f"{aside:,}")
    console.print(table)
    for one in done.found:
        _print_keys(console, one, most_keys)
        _print_doubts(console, one)
        _print_repair(console, done, one.subject, executed)
    for subject, why in done.not_compared.items():
        console.print(f"{subject} is not compared: {why}")
    console.print("equal" if done.is_equal else "they differ")


def _print_keys(console: Screen, found: Compared, most_keys: int) -> None:
    for kind in Kind:
        rows = found.of_kind(kind).head(most_keys)
        if rows.is_empty():
            continue
        console.print()
        console.print(plain(f"{found.subject}, {_WORDS[kind]}", "bold"))
        for row in rows.iter_rows(named=True):
            told = key_as_json(row)
            part = f" {told['part']}" if told["part"] else ""
            own = f" ({told['stream']} {told['source_key']})" if "source_key" in told else ""
            console.print(f"  {told['key']}{part}{own}  {told['why']}", soft_wrap=True)
        more = found.counts[kind] - rows.height
        if more:
            console.print(f"  ... and {more:,} more")


def _print_doubts(console: Screen, found: Compared) -> None:
    told = []
    if found.unmapped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.unmapped.items()))
        told.append(f"rows that cannot become events: {reasons}")
    if not found.caught_up:
        told.append("the hub has not merged its log in time: is a worker running? Differences may be on their way")
    if found.unknown and any(found.counts[kind] for kind in DIFFERENCES):
        told.append(
            f"how far the connector has read is not known here for {', '.join(found.unknown)}: rows not read yet "
            "count as differences"
        )
    if not found.says_all:
        told.append("an outbox also feeds this subject: what no table holds does not count as left over")
    for line in told:
        console.print(f"{found.subject}: {line}", soft_wrap=True)


def _print_repair(console: Screen, done: SourceCompared, subject: str, executed: bool) -> None:
    plan = done.plans.get(subject)
    if plan is None:
        return
    raised = f", {plan.raised:,} of them under a raised version" if plan.raised else ""
    told = [f"{subject}: publish {plan.publish.height:,}{raised}, withdraw {plan.revoke.height:,}"]
    if plan.unable:
        told.append(f"{subject}: {plan.unable:,} cannot win against what the hub has: raise the source's epoch")
    if plan.refusal:
        told.append(f"{subject}: nothing will be withdrawn: {plan.refusal}")
    repaired = done.repaired.get(subject)
    if repaired is not None:
        told.append(
            f"{subject}: published {repaired.published:,}, withdrew {repaired.revoked:,}, skipped "
            f"{repaired.skipped:,}; {repaired.left:,} still differ"
        )
        told += [f"{subject}: {count:,} cannot be withdrawn: {why}" for why, count in repaired.refused.items()]
    if not executed and not plan.is_empty:
        told.append("nothing is published; add --execute and --reason")
    for line in told:
        console.print(line, soft_wrap=True)
