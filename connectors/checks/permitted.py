"""Does the hub's policy let a source say what its declaration would? Told before anything is published."""

from collections.abc import Iterator
from datetime import datetime

from connectors.declared.declaration import Declaration
from hub.model.policies.policy import Policy


def policy_problems(declaration: Declaration, policy: Policy) -> Iterator[str]:
    """Yield why the hub would refuse this source's events, all or those of a subject."""
    source = policy.sources.get(declaration.code)
    if source is None:
        yield f"the policy does not know the source {declaration.code!r}: all its events are refused (SOURCE_UNKNOWN)"
        return
    for subject in dict.fromkeys(stream.subject for stream in declaration.streams):
        if subject not in source.subjects:
            yield (
                f"the policy does not let {source.code} speak of {subject}: these events are refused "
                "(SOURCE_NOT_ALLOWED)"
            )


def policy_warnings(declaration: Declaration, policy: Policy, now: datetime) -> Iterator[str]:
    """Yield what the policy refuses by time, and what else differs from the declaration."""
    source = policy.sources.get(declaration.code)
    if source is None:
        return
    if source.valid_from is not None:
        yield f"the policy refuses what {source.code} says of times before {source.valid_from.isoformat()}"
    if source.valid_until is not None:
        over = ": its time is over" if source.valid_until <= now else ""
        yield f"the policy refuses what {source.code} says of times from {source.valid_until.isoformat()} on{over}"
    if source.unit_scheme != declaration.unit_scheme:
        yield f"unit_scheme is {declaration.unit_scheme} in the declaration and {source.unit_scheme} in the policy"
    if source.agency != declaration.agency:
        yield f"agency is {declaration.agency!r} in the declaration and {source.agency!r} in the policy"
