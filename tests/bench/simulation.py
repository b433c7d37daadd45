"""A discrete-event simulation of batches on their way through workers and PostgreSQL; no measuring, no I/O.

Each worker owns a share of the partitions: when its decoding thread is free and a lane has room, it takes what waits,
up to a bound, prepares it, and hands it to PostgreSQL, whose processors serve batches in the order in which they come.
A batch takes ``fixed + per_event * events`` in each, times a gamma-distributed factor. With shards a batch is cut into
as many parts, served at the same time, and two-phase commit adds two flushes. Seeded: the same figures each time.
"""

import heapq
import random
from bisect import bisect_right
from dataclasses import dataclass, field

FLUSH_S = 0.004
"""A flush of the log to disk, of which a commit over several shards needs two more."""
_DISPERSION = 0.25
"""Of service times: standard deviation by mean."""
_SAMPLES = 8
"""Events of a batch whose latency is noted, evenly from the first to the last."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a batch takes: so much, and so much more for every event, in seconds."""

    fixed_s: float
    per_event_s: float

    def of(self, events: float) -> float:
        """Return the seconds for a batch of so many."""
        return self.fixed_s + self.per_event_s * events


@dataclass(frozen=True, slots=True)
class Site:
    """A way to run the hub.

    Fields:
        prepare: on a worker. commit: on one of PostgreSQL's processors.
        workers, partitions: a partition has one worker; some workers have one partition more than others.
        processors: of each shard, that serve batches.
        shards: PostgreSQL servers over which keys are spread.
        lanes: batches of a worker that may be under way.
        most: events of a batch at most.
    """

    prepare: Cost
    commit: Cost
    workers: int = 1
    partitions: int = 12
    processors: int = 4
    shards: int = 1
    lanes: int = 2
    most: int = 50_000

    def shares(self) -> list[float]:
        """Return each worker's share of the events."""
        each, more = divmod(self.partitions, self.workers)
        return [(each + (number < more)) / self.partitions for number in range(self.workers)]

    def commit_s(self, events: float) -> float:
        """Return how long the shards need for a batch, all at the same time."""
        return self.commit.of(events / self.shards) + (2 * FLUSH_S if self.shards > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class Load:
    """Events a second by time: ``rates[i]`` from ``times[i]`` on, the last for ever; ``waiting`` are there at 0."""

    times: tuple[float, ...]
    rates: tuple[float, ...]
    waiting: float = 0.0

    def arrived(self, at: float) -> float:
        """Return how many events there were until a time."""
        total = self.waiting
        for number, (begin, rate) in enumerate(zip(self.times, self.rates, strict=True)):
            end = self.times[number + 1] if number + 1 < len(self.times) else at
            total += rate * max(0.0, min(at, end) - begin)
        return total

    def when(self, count: float) -> float:
        """Return when the ``count``-th event came; 0 for those that waited."""
        if count <= self.waiting:
            return 0.0
        marks = [self.arrived(begin) for begin in self.times]
        place = max(0, bisect_right(marks, count) - 1)
        rate = self.rates[place]
        return self.times[place] + (count - marks[place]) / rate if rate else float("inf")


@dataclass(slots=True)
class Run:
    """What was simulated: latencies of a sample of events with the time they came, and how many were done in time."""

    latencies: list[tuple[float, float]] = field(default_factory=list)
    batches: int = 0
    events: float = 0.0
    events_in_time: float = 0.0
    busy_s: float = 0.0
    caught_up_s: float | None = None


def simulate(site: Site, load: Load, until_s: float, seed: int = 1) -> Run:
    """Run a site under a load."""
    return _Simulation(site, load, until_s, random.Random(seed)).run()


class _Simulation:
    """Events in order of time: a worker looks (LOOK), a batch is prepared (READY), a batch is committed (DONE)."""

    LOOK, READY, DONE = 0, 1, 2

    def __init__(self, site: Site, load: Load, until_s: float, chance: random.Random) -> None:
        self._site, self._load, self._until_s, self._chance = site, load, until_s, chance
        self._shares = site.shares()
        self._taken = [0.0] * site.workers
        self._under_way = [0] * site.workers
        self._blocked = [False] * site.workers
        self._behind = [load.waiting > 0] * site.workers
        self._free_at = [0.0] * site.processors
        self._queue: list[tuple[float, int, int, float, float]] = []
        self._run = Run()

    def run(self) -> Run:
        for worker in range(self._site.workers):
            self._push(0.0, self.LOOK, worker)
        while self._queue:
            now, kind, worker, first, count = heapq.heappop(self._queue)
            if kind == self.LOOK:
                if now < self._until_s:
                    self._look(now, worker)
            elif kind == self.READY:
                self._commit(now, worker, first, count)
            else:
                self._done(now, worker, first, count)
        return self._run

    def _push(self, at: float, kind: int, worker: int, first: float = 0.0, count: float = 0.0) -> None:
        heapq.heappush(self._queue, (at, kind, worker, first, count))

    def _factor(self) -> float:
        shape = 1 / _DISPERSION**2
        return self._chance.gammavariate(shape, 1 / shape)

    def _look(self, now: float, worker: int) -> None:
        if self._under_way[worker] >= 2 * self._site.lanes:
            self._blocked[worker] = True
            return
        share = self._shares[worker]
        waiting = int(self._load.arrived(now) * share - self._taken[worker])
        if waiting < 1:
            at = self._load.when((self._taken[worker] + 1) / share)
            if at < self._until_s:
                self._push(max(at, now) + 1e-6, self.LOOK, worker)
            return
        count = min(waiting, self._site.most)
        first = self._taken[worker]
        self._taken[worker] += count
        self._under_way[worker] += 1
        ready = now + self._site.prepare.of(count) * self._factor()
        self._push(ready, self.READY, worker, first, count)
        self._push(ready, self.LOOK, worker)

    def _commit(self, now: float, worker: int, first: float, count: float) -> None:
        free = heapq.heappop(self._free_at)
        taking = self._site.commit_s(count) * self._factor()
        self._run.busy_s += taking
        done = max(now, free) + taking
        heapq.heappush(self._free_at, done)
        self._push(done, self.DONE, worker, first, count)

    def _done(self, now: float, worker: int, first: float, count: float) -> None:
        self._run.batches += 1
        self._run.events += count
        self._run.events_in_time += count if now <= self._until_s else 0.0
        self._under_way[worker] -= 1
        share = self._shares[worker]
        for number in range(_SAMPLES):
            came = self._load.when((first + 1 + int(count * number / _SAMPLES)) / share)
            self._run.latencies.append((came, now - came))
        if self._behind[worker] and now - self._load.when((first + count) / share) < 1.0:
            self._behind[worker] = False
            if not any(self._behind):
                self._run.caught_up_s = now
        if self._blocked[worker]:
            self._blocked[worker] = False
            self._push(now, self.LOOK, worker)


def percentile(run: Run, share: float) -> float:
    """Return a percentile of the latencies, in milliseconds; events that waited at the start are left out."""
    found = sorted(latency for came, latency in run.latencies if came > 0)
    return round(1000 * found[min(len(found) - 1, int(share * len(found)))], 1) if found else 0.0


def saturation(site: Site, seconds: float = 60.0) -> float:
    """Return the events a second of a site that never runs out of events."""
    run = simulate(site, Load((0.0,), (0.0,), 1e12), seconds)
    return run.events_in_time / seconds
