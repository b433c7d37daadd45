"""The conclusion of a comparison in one line: equal, and what is still open although nothing differs."""

from collections.abc import Sequence

from hub.operate.compare.found import Compared, Kind

THEY_DIFFER = "they differ"


def conclusion(found: Sequence[Compared], is_equal: bool) -> str:
    """Say whether two sides are equal, and how many keys are not there yet: parked, refused, or on their way."""
    if not is_equal:
        return THEY_DIFFER
    on_its_way = sum(one.counts[Kind.ON_ITS_WAY] for one in found)
    waits = open_words(found)
    if on_its_way:
        told = [f"{on_its_way:,} on {'its' if on_its_way == 1 else 'their'} way", *waits]
        return f"no difference that is not on its way: {', '.join(told)}"
    return f"equal, of which {', '.join(waits)}" if waits else "equal"


def open_words(found: Sequence[Compared]) -> list[str]:
    """Return how many keys are parked, how many the hub refused, and how many things have two rows of one version."""
    parked = sum(one.parked for one in found)
    refused = sum(one.counts[Kind.HAS_OUTCOME] for one in found) - parked
    shared = sum(one.shared for one in found)
    told = [f"{parked:,} {'waits' if parked == 1 else 'wait'} (parked)"] if parked else []
    told += [f"{refused:,} {'was' if refused == 1 else 'were'} refused or made a dead letter"] if refused else []
    told += [f"{shared:,} with two or more rows of one version"] if shared else []
    return told
