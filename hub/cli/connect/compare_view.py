"""How ``hub connect compare`` prints what it found and did."""

from rich.table import Table

from hub.cli.connect.one_compare import SourceCompared, still_keys
from hub.cli.shared.screen import Screen, plain, screen
from hub.operate.compare.conclusion import open_words
from hub.operate.compare.found import DIFFERENCES, Compared, Kind, key_as_json

_WORDS = {
    Kind.MISSING: "missing in the hub",
    Kind.DIFFERS: "other content",
    Kind.LEFT_OVER: "left over in the hub",
    Kind.HAS_OUTCOME: "published, but with another outcome",
    Kind.ON_ITS_WAY: "on its way to the hub, or changed meanwhile",
}


def print_comparison(done: SourceCompared, most_keys: int, executed: bool) -> None:
    """Print counts, the first keys of each kind, what a repair would do or did, and what still differs after it."""
    console = screen()
    title = f"{done.source}, before the repair" if done.repaired else done.source
    kinds = [kind.replace("_", " ") for kind in Kind]
    table = Table("subject", "keys", "claims", "revoked claims", *kinds, "rejects", title=title)
    table.title_justify = "left"
    for one in done.by_difference:
        counts = [f"{one.counts[kind]:,}" for kind in Kind]
        aside = sum(one.unmapped.values())
        table.add_row(one.subject, f"{one.source_keys:,}", f"{one.claims:,}", f"{one.revoked:,}", *counts, f"{aside:,}")
    console.print(table)
    for one in done.by_difference:
        _print_keys(console, one, most_keys)
        _print_doubts(console, one)
        _print_plan(console, done, one.subject, executed)
    for subject, why in done.not_compared.items():
        console.print(f"{subject} is not compared: {why}")
    if not done.repaired:
        console.print(done.conclusion, soft_wrap=True)
        return
    console.print()
    console.print(plain("after the repair", "bold"))
    for one in done.by_difference:
        _print_repaired(console, done, one.subject, most_keys)
    left = ", ".join(open_words(done.found))
    equal = "after the repair they are equal" + (f", of which {left}" if left else "")
    console.print(equal if done.is_equal else "after the repair they still differ", soft_wrap=True)


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
    if found.shared:
        told.append(
            f"{found.shared:,} {'thing has' if found.shared == 1 else 'things have'} two or more rows of one version "
            "with other content: the hub takes one of them and asks an officer (`hub connect check --all` names them)"
        )
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


def _print_plan(console: Screen, done: SourceCompared, subject: str, executed: bool) -> None:
    plan = done.plans.get(subject)
    if plan is None:
        return
    raised = (
        f", {plan.raised:,} of them with a higher version than the source has, to count as newer" if plan.raised else ""
    )
    told = [f"{subject}: to publish {plan.publish.height:,}{raised}, to withdraw {plan.revoke.height:,}"]
    if plan.unable:
        told.append(f"{subject}: {plan.unable:,} cannot win against what the hub has: raise the source's epoch")
    if plan.refusal:
        told.append(f"{subject}: nothing will be withdrawn: {plan.refusal}")
    if not executed and not plan.is_empty:
        told.append("nothing is published; add --execute and --reason")
    for line in told:
        console.print(line, soft_wrap=True)


def _print_repaired(console: Screen, done: SourceCompared, subject: str, most_keys: int) -> None:
    repaired, plan = done.repaired.get(subject), done.plans[subject]
    told = [f"{subject}: nothing was published or withdrawn"]
    if repaired is not None:
        skipped = f", {repaired.skipped:,} were left alone: they changed meanwhile, or the hub would refuse them"
        told = [
            f"{subject}: published {repaired.published:,}, withdrew {repaired.revoked:,}"
            + (skipped if repaired.skipped else "")
        ]
        told += [f"{subject}: {count:,} cannot be withdrawn: {why}" for why, count in repaired.refused.items()]
        if not repaired.caught_up:
            told.append(f"{subject}: the hub has not merged all that was sent: compare again later")
    left = (repaired.left if repaired is not None else 0) + plan.unable
    told.append(f"{subject}: {left:,} still differ" if left else f"{subject}: nothing differs any more")
    for line in told:
        console.print(line, soft_wrap=True)
    if repaired is None:
        return
    named = still_keys(repaired, most_keys)
    for key in named:
        part = f" {key['part']}" if key["part"] else ""
        console.print(f"  {key['key']}{part}  {_WORDS[Kind(key['kind'])]}", soft_wrap=True)
    if repaired.left > len(named):
        console.print(f"  ... and {repaired.left - len(named):,} more")
