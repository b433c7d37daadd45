"""Partitions that the breaker stopped: which, why, and how to resume them."""

from dataclasses import dataclass

from sqlalchemy import Engine

from hub.log.places import Partition, topic_of
from hub.model.errors import ConfigError
from hub.operate.actions import Action, note
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import read_positions
from hub.warehouse.stops import Stop, read_stops, resume

RESUME = "partitions.resume"


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """What resuming a partition would do: the offset to go on from, and how many poison records are accepted."""

    stop: Stop
    next_offset: int
    accept_poison: int


def partition_of(text: str) -> Partition:
    """Read ``<topic or subject>/<partition>``.

    Raises:
        ConfigError: it is not a partition.
    """
    topic, _, number = text.rpartition("/")
    if not topic or not (number.isascii() and number.isdigit()):
        raise ConfigError([f"{text}: not a partition; give TOPIC/PARTITION, e.g. citizen.changed/1"])
    return topic_of(topic), int(number)


def list_stops(engine: Engine, standing_only: bool) -> list[Stop]:
    """Return the partitions that are stopped now, or every one that ever was."""
    with translated_errors("reading stopped partitions"), engine.connect() as connection:
        return read_stops(connection, standing_only)


def plan_resume(engine: Engine, partition: Partition, accept_poison: int) -> ResumePlan:
    """Return what resuming would do.

    Raises:
        ConfigError: the partition is not stopped.
    """
    with translated_errors("reading stopped partitions"), engine.connect() as connection:
        stops = {(stop.topic, stop.partition): stop for stop in read_stops(connection, standing_only=True)}
        positions = read_positions(connection)
    if partition not in stops:
        raise ConfigError([f"{partition[0]}/{partition[1]} is not stopped; see `hub partitions list`"])
    return ResumePlan(stops[partition], positions[partition].next_offset, accept_poison)


def resume_partition(engine: Engine, plan: ResumePlan, actor: str, purpose: str) -> None:
    """Resume the partition, and record who did it; its worker continues within a second or two."""
    partition = plan.stop.topic, plan.stop.partition
    with translated_errors("resuming a partition"), engine.begin() as connection:
        resume(connection, partition, actor, purpose, plan.accept_poison)
        detail = {"partition": plan.stop.place, "from": plan.next_offset, "accept_poison": plan.accept_poison}
        note(connection, Action(actor, RESUME, purpose, detail=detail))
