"""When a source is compared by schedule: the part of a declaration that says it."""

from collections.abc import Callable, Mapping

from connectors.declared.declaration import CompareEvery
from connectors.declared.toml_shapes import MOST_S, number_problem

_FIELDS = {"every_s", "repair", "allow_gone"}
LEAST_EVERY_S = 1.0


def compare_every(given: object, problem: Callable[[str], None]) -> CompareEvery | None:
    """Return the schedule of a declaration; calls ``problem`` with what is wrong with it."""
    if given is None:
        return None
    if not isinstance(given, Mapping) or set(given) - _FIELDS or "every_s" not in given:
        problem("compare must be { every_s = SECONDS }, with repair and allow_gone if wanted")
        return None
    every, repair, gone = given["every_s"], given.get("repair", False), given.get("allow_gone")
    if said := number_problem(every, LEAST_EVERY_S, MOST_S):
        problem(f"compare.every_s {said}")
        return None
    if not isinstance(repair, bool):
        problem("compare.repair must be true or false")
        return None
    if gone is not None and (isinstance(gone, bool) or not isinstance(gone, int) or gone < 0):
        problem("compare.allow_gone must be a whole number, 0 or more")
        return None
    return CompareEvery(float(every), repair, gone)
