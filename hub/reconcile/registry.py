"""Everything that follows from the claims in force, one entry per rule, in the order in which rules run.

A rule is a pure function of the claims in force, for the keys that were touched. So the order in which events arrive
does not matter (I4). A rule that has nothing to do for a batch must find that out without a query.
"""

from sqlalchemy import Connection, Select

from hub.reconcile import decide, decision_steps
from hub.reconcile.rules import links
from hub.reconcile.rules import reused_versions as reused
from hub.reconcile.rules.dossiers import steps as dossiers
from hub.reconcile.rules.people import steps as people
from hub.reconcile.rules.units import reviews as unit_reviews
from hub.reconcile.rules.units import steps as units
from hub.reconcile.shared.republish import AuditPlace
from hub.reconcile.shared.step import Merge, Rule
from hub.warehouse.tables.entities import AspectTables


def redecide(
    connection: Connection, tables: AspectTables, identities: Select[tuple[object, ...]], place: AuditPlace
) -> int:
    """Decide records and conflicts of some identities again, then what follows from them; return their number.

    Args:
        connection: in the transaction that also changes the decision's grounds; ``ensure_stages`` was called on it
            before.
        tables: the aspect.
        identities: selects the columns of ``tables.identity``, by those names, of keys that have a record.
        place: where share will find the keys, which are noted as touched.
    """
    return decide.redecide(connection, tables, identities, place, RULES)


def _after_decisions(connection: Connection, merge: Merge) -> None:
    decision_steps.step(connection, merge, redecide)


RULES: tuple[Rule, ...] = (
    Rule("what codes of units stand for", after_merge=units.step, after_redecision=units.follow),
    Rule("questions about split units", after_merge=unit_reviews.step, after_redecision=None),
    Rule("questions about reused versions", after_merge=reused.step, after_redecision=None),
    Rule("officers' decisions", after_merge=_after_decisions, after_redecision=None),
    Rule("keys of one thing", after_merge=links.step, after_redecision=None),
    Rule("dossiers: moves, deadlines, agencies", after_merge=dossiers.step, after_redecision=dossiers.follow),
    Rule("people: deaths, doubts", after_merge=people.step, after_redecision=people.follow),
)
"""A rule without ``after_redecision`` follows from claims and decisions alone, whichever claim holds the record."""
