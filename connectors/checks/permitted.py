"""Does the hub's policy allow a source to send what its declaration says? Asked before anything is published."""

from collections.abc import Iterator
from datetime import datetime

from connectors.declared.declaration import Declaration
from hub.model.policies.policy import Policy


def policy_problems(declaration: Declaration, policy: Policy) -> Iterator[str]:
    """Yield why the hub would reject this source's events: all of them, or those of one subject."""
    source = policy.sources.get(declaration.code)
    if source is None:
        yield f"the policy does not know the source {declaration.code!r}: all its events are rejected (SOURCE_UNKNOWN)"
        return
    for subject in dict.fromkeys(stream.subject for stream in declaration.streams):
        if subject not in source.subjects:
            yield (
                f"the policy does not let {source.code} speak of {subject}: these events are rejected "
                "(SOURCE_NOT_ALLOWED)"
            )


def policy_warnings(declaration: Declaration, policy: Policy, now: datetime) -> Iterator[str]:
    """Yield what the policy rejects because of its time, and where the policy differs from the declaration."""
    source = policy.sources.get(declaration.code)
    if source is None:
        return
    if source.valid_from is not None:
        yield f"the policy rejects events of {source.code} that occurred before {source.valid_from.isoformat()}"
    if source.valid_until is not None:
        over = ", which has passed" if source.valid_until <= now else ""
        yield f"the policy rejects events of {source.code} that occurred from {source.valid_until.isoformat()} on{over}"
    if source.unit_scheme != declaration.unit_scheme:
        yield f"unit_scheme is {declaration.unit_scheme} in the declaration and {source.unit_scheme} in the policy"
    if source.agency != declaration.agency:
        yield f"agency is {declaration.agency!r} in the declaration and {source.agency!r} in the policy"
