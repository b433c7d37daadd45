"""Ask share to publish again what a topic should hold: first a plan that counts, then a recorded request.

What share does with a request: hub.share.republish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine, text

from hub.model.errors import ConfigError
from hub.operate.actions import Action, note
from hub.share.republish import Amount, Republication, amount_of, ask, open_requests
from hub.share.topics import made_anew
from hub.topology import record_topics, shared_topics
from hub.warehouse.database import translated_errors

REPUBLISH = "share.republish"


@dataclass(frozen=True, slots=True)
class RepublishPlan:
    """What publishing again would send.

    Fields:
        name: one of ``hub.topology.shared_topics``.
        topic, topic_id: where the records would go.
        keys: only these keys; None: all.
        amount: how many records.
        is_anew: the topic is not the one that share has filled.
        under_way: an unfinished request for the same; executing continues it.
    """

    name: str
    topic: str
    topic_id: UUID
    keys: tuple[UUID, ...] | None
    amount: Amount
    is_anew: bool
    under_way: Republication | None


def plan_again(engine: Engine, bootstrap: str, name: str, keys: Sequence[UUID] | None = None) -> RepublishPlan:
    """Count what would be published again.

    Raises:
        ConfigError: there is no such name or topic, or keys are given for a topic whose records have none.
        UnreachableError: the broker or the warehouse does not answer.
    """
    from hub.log.topic_ids import topic_ids  # Kafka's client: views of the plan do without it

    names = shared_topics()
    if name not in names:
        raise ConfigError([f"{name}: is not published; published are {', '.join(names)}"])
    if keys is not None and name not in record_topics():
        raise ConfigError([f"{name}: dead letters have no keys of their own; omit --keys"])
    topic = names[name]
    with translated_errors("planning what to publish again"), engine.connect() as connection:
        amount = amount_of(connection, name, keys)
        found = topic_ids(bootstrap, [topic])
        if topic not in found:
            raise ConfigError([f"there is no topic {topic}: `hub topics ensure --execute` creates it"])
        anew = any(one.topic == topic for one in made_anew(connection, found))
        under_way = [
            one for one in open_requests(connection) if one.name == name and (one.keys is None) == (keys is None)
        ]
    wanted = None if keys is None else tuple(sorted(set(keys)))
    same = [one for one in under_way if wanted is None or tuple(one.keys or ()) == wanted]
    return RepublishPlan(name, topic, found[topic], wanted, amount, anew, same[0] if same else None)


def ask_again(engine: Engine, plan: RepublishPlan, by: Action) -> int:
    """Store the request with who asked and why; return its number. An unfinished one continues and is not stored twice.

    Raises:
        ConfigError: the person or the reason is missing.
    """
    with translated_errors("asking share to publish again"), engine.begin() as connection:
        connection.execute(text("LOCK TABLE republication IN SHARE ROW EXCLUSIVE MODE"))
        running = plan.under_way and next(
            (one for one in open_requests(connection) if one.id == plan.under_way.id), None
        )
        if running and running.topic_id == plan.topic_id:
            return running.id
        number = ask(
            connection,
            {
                "name": plan.name,
                "topic": plan.topic,
                "topic_id": plan.topic_id,
                "keys": None if plan.keys is None else list(plan.keys),
                "total": plan.amount.records,
                "actor": by.actor,
                "reason": by.purpose,
            },
        )
        detail = {
            "request": number,
            "name": plan.name,
            "topic": plan.topic,
            "topic_id": str(plan.topic_id),
            "records": plan.amount.records,
            "tombstones": plan.amount.tombstones,
            "keys": None if plan.keys is None else [str(key) for key in plan.keys],
        }
        note(connection, Action(by.actor, REPUBLISH, by.purpose, detail=detail))
    return number
