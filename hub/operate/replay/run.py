"""Run a replay: create its shadow, read what the plan selects, and catch up with the live warehouse; and drop it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine

from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Preparer
from hub.model.errors import ConfigError
from hub.model.replay_state import ReplayState
from hub.operate.actions import Action, note
from hub.operate.replay.failures import clear_failure, failures_marked
from hub.operate.replay.ground import Ground
from hub.operate.replay.pipeline import CancelledError, Pipeline, Progress, ShadowStore, ranges_to
from hub.operate.replay.plan import live_places, revision_of
from hub.operate.replay.rate import RateCap
from hub.operate.replay.select import Sieve
from hub.operate.replay.shadow.create import add_new_partitions, drop_schema, fill_shadow
from hub.operate.replay.shadow.discarded import drop_discarded, read_discarded
from hub.operate.replay.shadow.numbers import keep_numbers, let_in_as_live
from hub.operate.replay.store import (
    Asked,
    Replay,
    check_state,
    hold_replay,
    places_of,
    replay_numbered,
    set_asked,
    set_state,
)
from hub.reconcile.fence import Stamp
from hub.warehouse.database import translated_errors
from hub.warehouse.locks import Lock, is_held
from hub.warehouse.sources import applied_policy, source_numbers

RUN, CANCEL, DROP = "replay.run", "replay.cancel", "replay.drop"
MEASURED_FROM = 50_000
"""A replay of fewer events says little about speed: it ends before it reaches full speed."""
_NEAR = 1_000
_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did: events it read and selected, its seconds, and how far the shadow is behind the live warehouse."""

    id: int
    state: ReplayState
    read: int
    selected: int
    released: int
    seconds: float
    behind: int

    @property
    def events_per_s(self) -> float:
        """Return how many events it read per second."""
        return self.read / self.seconds if self.seconds > 0 else 0.0


def run_replay(
    ground: Ground, number: int, by: Action, watch: Callable[[Progress], None], cap: int | None = None
) -> Ran:
    """Run a planned replay, or continue an interrupted one, until it has caught up.

    Raises:
        ConfigError: there is no such replay, its state does not allow it, or the policy or tables of its plan have
            changed.
        HubError: another process works on it.
        ReplayFailedError: a bug; the replay is marked as failed.
    """
    with hold_replay(ground.live, number), failures_marked(ground.live, number):
        of = checked(ground.live, number)
        check_state(of, "running it", ReplayState.PLANNED, ReplayState.FILLING, ReplayState.RUNNING, ReplayState.READY)
        with translated_errors("running a replay"), ground.live.begin() as connection:
            note(connection, by)
            clear_failure(connection, number)
        if of.state in (ReplayState.PLANNED, ReplayState.FILLING):
            fill_shadow(ground, of)
        try:
            return catch_up(ground, of, watch, RateCap(cap))
        except CancelledError:
            _discard(ground, number, ReplayState.CANCELLED)
            raise


def checked(live: Engine, number: int) -> Replay:
    """Return a replay whose policy and tables are still those of the live warehouse; raises ConfigError otherwise."""
    with translated_errors("reading the plan"), live.connect() as connection:
        of = replay_numbered(connection, number)
        check_ground(connection, of)
    return of


def check_ground(connection: Connection, replay: Replay) -> None:
    """Refuse a replay whose plan was made under another policy or other tables; raises ConfigError."""
    applied = applied_policy(connection)
    problems = []
    if applied is None or applied.policy.digest != replay.policy_digest:
        problems.append(
            f"replay {replay.id} was planned under policy {replay.policy_digest[:12]}, and another is in force now: "
            "its shadow would differ from what the worker makes. Plan it again; "
            f"`hub replay drop {replay.id} --execute` frees this one"
        )
    revision = revision_of(connection)
    if revision != replay.revision:
        problems.append(
            f"replay {replay.id} was planned on tables of revision {replay.revision}, now {revision}: make a new plan"
        )
    if problems:
        raise ConfigError(problems)


def catch_up(
    ground: Ground,
    replay: Replay,
    watch: Callable[[Progress], None],
    cap: RateCap,
    ends: Mapping[int, int] | None = None,
) -> Ran:
    """Read into a shadow what it has not read yet of the live warehouse's log, in rounds, until little is left.

    Args:
        ground: where the replay works.
        replay: the replay; its shadow exists.
        watch: receives the progress after each batch.
        cap: how fast it may read.
        ends: where to stop, by number of the log partition; None: where the live warehouse is.
    """
    began = time.monotonic()
    read = selected = released = 0
    with translated_errors("replaying"), _pipelines(ground, replay, watch, cap) as pipelines:
        for _ in range(_MOST_ROUNDS):
            with ground.live.begin() as connection:
                add_new_partitions(connection, replay, replay.shadow)
                until = ends or {place.log: place.next_offset for place in live_places(connection)}
                ranges = ranges_to(connection, replay.id, until)
                drop_discarded(connection, ground.schema, replay.shadow)
            pipeline = pipelines()
            progress = pipeline.run(ranges)
            read, selected = read + progress.read, selected + progress.selected
            released += progress.released
            if ends is not None or progress.total <= _NEAR:
                break
        released += _settle(ground, replay, pipeline)
        seconds = time.monotonic() - began
        with ground.live.begin() as connection:
            state = replay.state if replay.state is ReplayState.SWITCHED else ReplayState.READY
            speed = {"events_per_s": read / seconds} if read >= MEASURED_FROM else {}
            set_state(connection, replay.id, state, **speed)
            behind = behind_live(connection, replay.id)
    return Ran(replay.id, state, read, selected, released, seconds, behind)


def behind_live(connection: Connection, number: int) -> int:
    """Return how many offsets the live warehouse has consumed and the replay has not read."""
    reached = {place.log: place.next_offset for place in places_of(connection, number)}
    return sum(max(0, place.next_offset - reached.get(place.log, place.first)) for place in live_places(connection))


def _settle(ground: Ground, replay: Replay, pipeline: Pipeline) -> int:
    """Align numbers, times and questions about waiting records with the live ones; return how many were released."""
    with ground.live.begin() as connection:
        keep_numbers(connection, ground.schema, replay.shadow)
        if replay.selection.is_whole and not replay.selection.is_narrowed and replay.state is not ReplayState.SWITCHED:
            let_in_as_live(connection, ground.schema, replay.shadow)
    released = pipeline.run([]).released
    with ground.live.begin() as connection:
        keep_numbers(connection, ground.schema, replay.shadow)
    return released


@contextmanager
def _pipelines(
    ground: Ground, replay: Replay, watch: Callable[[Progress], None], cap: RateCap
) -> Iterator[Callable[[], Pipeline]]:
    """Yield a function that makes a pipeline into the shadow, under the policy in force and with its own decoder."""
    with ground.live.connect() as connection:
        applied = applied_policy(connection)
        numbers = source_numbers(connection)
    if applied is None:
        raise ConfigError(["no policy is in force: there is nothing to replay"])
    rules = SourceRules.of(applied.policy, {code: numbers[code] for code in applied.policy.sources})
    deadline = timedelta(hours=applied.policy.parking_deadline_h)
    stamp = Stamp(f"replay {replay.id}", replay.policy_digest)
    with (
        ground.shadow(replay.shadow) as shadow,
        GuardedDecoder(ground.decode_timeout_s, ground.decode_memory_mb) as decoder,
    ):
        preparer = Preparer(decoder, rules, ground.key_secret)
        store = ShadowStore(shadow, stamp, deadline, ground.schema, replay.id)

        def pipeline() -> Pipeline:
            with ground.live.connect() as connection:
                copied = {place.log: place.copied_offset for place in places_of(connection, replay.id)}
                sieve = Sieve(replay.selection, copied, read_discarded(connection))
            return Pipeline(ground.live, replay.id, store, preparer, ground.read, sieve, cap, ground.batch_rows, watch)

        yield pipeline


def cancel_replay(ground: Ground, number: int, by: Action) -> bool:
    """Stop a replay and drop its shadow; return whether it is done; False if the process that runs it will do it.

    Raises:
        ConfigError: there is no such replay, or its state does not allow it.
    """
    allowed = (ReplayState.PLANNED, ReplayState.FILLING, ReplayState.RUNNING, ReplayState.READY)
    with translated_errors("cancelling a replay"), ground.live.begin() as connection:
        check_state(replay_numbered(connection, number), "cancelling it", *allowed)
        if is_held(connection, Lock.REPLAY, number):
            set_asked(connection, number, Asked.CANCEL)
            note(connection, by)
            return False
    with hold_replay(ground.live, number):
        with ground.live.begin() as connection:
            note(connection, by)
        _discard(ground, number, ReplayState.CANCELLED)
    return True


def drop_replay(ground: Ground, number: int, by: Action) -> None:
    """Drop a replay's shadow; after a switch, the shadow is the state that undo would restore."""
    with hold_replay(ground.live, number):
        with ground.live.connect() as connection:
            replay_numbered(connection, number)
        with translated_errors("dropping a replay"), ground.live.begin() as connection:
            note(connection, by)
        _discard(ground, number, ReplayState.DROPPED)


def _discard(ground: Ground, number: int, state: ReplayState) -> None:
    with translated_errors("dropping a shadow"), ground.live.begin() as connection:
        of = replay_numbered(connection, number)
        drop_schema(connection, of.shadow)
        set_state(connection, number, state, asked=None)
