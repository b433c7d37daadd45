"""The last steps of a merge, in their order: everything that follows from the claims that a batch wrote.

Each step is a pure function of the claims in force, for the keys that the batch touched. So the order in which events
arrive does not matter (I4). A step that has nothing to do for a batch must find that out without a query.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from hub.reconcile import decision_steps
from hub.reconcile.rules import links
from hub.reconcile.rules import reused_versions as reused
from hub.reconcile.rules.dossiers import steps as dossier_steps
from hub.reconcile.rules.people import steps as person_steps
from hub.reconcile.rules.units import reviews
from hub.reconcile.rules.units import steps as unit_steps
from hub.reconcile.shared.step import Merge

STEPS: tuple[Callable[[Connection, Merge], None], ...] = (
    unit_steps.step,
    reviews.step,
    reused.step,
    decision_steps.step,
    links.step,
    dossier_steps.step,
    person_steps.step,
)
