"""A worker with a bug in one step of the merge; run as a module: ``faulty_worker record OFFSET | partition NUMBER``.

``record``: the bug shows at the citizens' record of that offset, in whatever partition. ``partition``: it shows at
every record of that partition of the citizens' topic.
"""

import sys
from typing import Any

from hub.cli.app import main
from hub.reconcile import merge
from hub.warehouse.batch import Accepted, Batch

SUBJECT, TOPIC = "citizen.changed", "hub.citizen.changed.v1"


def arm(kind: str, number: int) -> None:
    """Put the bug into the merge of a subject's rows."""
    call = getattr(merge, "_merge")  # noqa: B009 - the step has no public name

    def faulty(connection: Any, accepted: Accepted, batch: Batch, *given: Any) -> Any:
        if accepted.subject == SUBJECT:
            logs = [move.log for move in batch.advances if move.topic == TOPIC and move.partition == number]
            is_hit = {
                "record": number in accepted.frame["log_offset"].to_list(),
                "partition": bool(accepted.frame["log"].is_in(logs).any()),
            }[kind]
            if is_hit:
                raise ZeroDivisionError(f"of {accepted.frame['full_name'][0]}")
        return call(connection, accepted, batch, *given)

    setattr(merge, "_merge", faulty)  # noqa: B010 - a function of a module may not be assigned otherwise


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["hub", "worker"]
    main()
