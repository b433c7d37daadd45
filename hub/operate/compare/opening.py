"""From a warehouse and a source's streams to a comparison: the policy in force, the source's number."""

from dataclasses import dataclass, field

from sqlalchemy import Engine

from hub.embedded.locate import Endpoints
from hub.intake.checks.check import SourceRules
from hub.model.compared import SourceStreams
from hub.model.errors import ConfigError
from hub.operate.compare.caught_up import Tell, Waiting
from hub.operate.compare.claims import ClaimsOf
from hub.operate.compare.comparison import Comparing
from hub.operate.compare.judge import Judge
from hub.warehouse.database import translated_errors
from hub.warehouse.sources import applied_policy, source_numbers


@dataclass(frozen=True, slots=True)
class Ways:
    """How to compare.

    Fields:
        catch_up: how to wait for the hub. tell: receives the progress. places: keep the source's own keys.
    """

    catch_up: Waiting
    tell: Tell = field(default=lambda what, done, total: None)
    places: bool = False


def open_comparison(engine: Engine, where: Endpoints, streams: SourceStreams, ways: Ways) -> Comparing:
    """Return the comparison of a source's streams with the warehouse.

    Raises:
        ConfigError: no policy is in force, or it does not know the source.
    """
    with translated_errors("reading the policy"), engine.connect() as connection:
        applied = applied_policy(connection)
        numbers = source_numbers(connection)
    if applied is None:
        raise ConfigError(["no policy is in force: the first `hub worker` applies one"])
    if streams.source not in applied.policy.sources:
        raise ConfigError(
            [f"the policy in force does not know the source {streams.source}: the hub accepts none of its events"]
        )
    rules = SourceRules.of(applied.policy, numbers)
    judge = Judge(streams.subject, rules, where.key_secret)
    claims = ClaimsOf(engine, streams.subject, streams.source, numbers[streams.source])
    return Comparing(streams, claims, judge, ways.catch_up, ways.tell, ways.places)
