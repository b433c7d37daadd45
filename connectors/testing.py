"""The acceptance suite of connectors: what every connector must do, as an abstract test class.

A connector's tests subclass ``ConnectorAcceptance`` and provide a fixture ``source``: a real source that the suite
can write to, and from which it can open the connector again and again, as restarts would.
"""

# ruff: noqa: S101 - the suite asserts, as pytest has it

import io
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, Protocol

import fastavro

from connectors.base.port import Connector, Record
from connectors.running.run import RunOptions, StreamCounts, run
from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.model.errors import UnreachableError
from hub.retry import RetryPolicy

QUICK = RetryPolicy(first_s=0.01, most_s=0.05, give_up_after_s=30.0)


class Writer(Protocol):
    """An open transaction in the source. A key is written with a rising version; a row is good or bad."""

    def put(self, key: str, version: int, is_good: bool = True) -> None:
        """Insert or change the thing called ``key``; a bad row cannot become an event."""

    def revoke(self, key: str, version: int) -> None:
        """Delete it in the way of this source."""


class SourceUnderTest(Protocol):
    """A source with one stream."""

    def connector(self, page_rows: int = 3) -> Connector:
        """Open the connector as a fresh process would."""

    def transaction(self) -> AbstractContextManager[Writer]:
        """Begin a transaction; leaving the block commits it."""

    def stop(self) -> None:
        """Stop the source abruptly."""

    def start(self) -> None:
        """Start it again."""


class MemoryPublisher:
    """Stores what is published; fails on demand, like a broker that takes some records and confirms none."""

    def __init__(self, failing: Sequence[int] = (), failures_lose: bool = True) -> None:
        self.records: list[Record] = []
        self.calls = 0
        self.failed: list[Record] = []
        self._failing = set(failing)
        self._lose = failures_lose

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Take the records; calls with a number in ``failing`` take half of them, or all, and confirm none."""
        self.calls += 1
        if self.calls in self._failing:
            self.failed += records[: len(records) // 2] if self._lose else records
            raise UnreachableError("no confirmation")
        self.records += records

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def events(self) -> list[dict[str, Any]]:
        """Return what was confirmed, decoded, in order."""
        return [decoded(record) for record in self.records]


def decoded(record: Record) -> dict[str, Any]:
    """Return the event of a record."""
    schema_id, datum = wire.unframe(record[1])
    version = load_catalogue().by_id(schema_id)
    if version is None:
        raise LookupError(f"no schema {schema_id}")
    event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(datum), dict(version.schema), None)  # type: ignore[assignment]
    return event


def catch_up(connector: Connector, publisher: MemoryPublisher | None = None) -> MemoryPublisher:
    """Run until nothing is new, and return what was published."""
    publisher = publisher or MemoryPublisher()
    run([connector], publisher, RunOptions(once=True, policy=QUICK))
    return publisher


class ConnectorAcceptance:
    """What every connector must do. ``key_field`` is the field of the subject that names things."""

    key_field = "dossier_code"

    def said(self, publisher: MemoryPublisher) -> set[tuple[str, int, str]]:
        """Return (key, version, operation) of everything confirmed."""
        return {(event[self.key_field], event["source_version"], event["operation"]) for event in publisher.events()}

    def keys(self, publisher: MemoryPublisher) -> set[str]:
        """Return the keys of everything confirmed."""
        return {event[self.key_field] for event in publisher.events()}

    def test_every_row_arrives_when_source_is_read_in_pages(self, source: SourceUnderTest) -> None:
        """Snapshot and changes together deliver every row at least once."""
        with source.transaction() as write:
            for number in range(10):
                write.put(f"D-{number}", 1)
        first = catch_up(source.connector())
        assert self.keys(first) == {f"D-{number}" for number in range(10)}
        with source.transaction() as write:
            write.put("D-10", 1)
            write.put("D-3", 2)
        second = catch_up(source.connector())
        assert {("D-10", 1), ("D-3", 2)} <= {(key, version) for key, version, _ in self.said(second)}

    def test_nothing_new_publishes_nothing_and_moves_nothing(self, source: SourceUnderTest) -> None:
        """A connector that has caught up publishes nothing."""
        with source.transaction() as write:
            write.put("D-1", 1)
        connector = source.connector()
        catch_up(connector)
        again = MemoryPublisher()
        catch_up(connector, again)
        assert again.records == []

    def test_row_arrives_when_its_transaction_commits_after_later_rows(self, source: SourceUnderTest) -> None:
        """A transaction that stays open during a poll loses none of its rows."""
        with source.transaction() as write:
            write.put("D-0", 1)
        catch_up(source.connector())
        with source.transaction() as late:
            late.put("D-late", 1)
            with source.transaction() as other:
                other.put("D-early", 1)
            catch_up(source.connector())
            with source.transaction() as other:
                other.put("D-early", 2)
            catch_up(source.connector())
        assert "D-late" in self.keys(catch_up(source.connector()))

    def test_row_arrives_when_its_transaction_was_open_during_the_snapshot(self, source: SourceUnderTest) -> None:
        """Rows that a snapshot could not see yet come with the changes."""
        with source.transaction() as late:
            late.put("D-late", 1)
            with source.transaction() as other:
                other.put("D-zzz", 1)
            assert self.keys(catch_up(source.connector())) <= {"D-zzz"}
        assert "D-late" in self.keys(catch_up(source.connector()))

    def test_event_id_is_the_same_when_a_page_is_sent_again(self, source: SourceUnderTest) -> None:
        """A lost confirmation leads to the same events, not to new ones."""
        with source.transaction() as write:
            for number in range(4):
                write.put(f"D-{number}", 1)
        publisher = catch_up(source.connector(), MemoryPublisher(failing=[1, 2], failures_lose=False))
        doubtful = [decoded(record) for record in publisher.failed]
        ids = {event["event_id"] for event in doubtful}
        assert len(ids) == len({event[self.key_field] for event in doubtful}) > 0
        assert ids <= {event["event_id"] for event in publisher.events()}

    def test_checkpoint_stays_when_the_broker_confirms_only_half_a_page(self, source: SourceUnderTest) -> None:
        """The position moves only after every record of a page was confirmed."""
        with source.transaction() as write:
            for number in range(9):
                write.put(f"D-{number}", 1)
        connector = source.connector()
        publisher = MemoryPublisher(failing=[2])
        with closing(connector):
            before = connector.stored()
            pages = connector.snapshot(before)
            first = next(pages)
            publisher.publish(connector.topic, first.records)
            connector.checkpoint(first)
            stored = connector.stored()
            second = next(pages)
            try:
                publisher.publish(connector.topic, second.records)
            except UnreachableError:
                pages.close()  # type: ignore[attr-defined]
            assert connector.stored() == stored != before
        catch_up(source.connector(), publisher)
        assert self.keys(publisher) == {f"D-{number}" for number in range(9)}

    def test_snapshot_goes_on_where_it_stopped_when_restarted(self, source: SourceUnderTest) -> None:
        """A restart after two pages does not begin again at the first page."""
        with source.transaction() as write:
            for number in range(9):
                write.put(f"D-{number}", 1)
        stop = threading.Event()

        def stop_after_two(counts: StreamCounts) -> None:
            if counts.published >= 6:
                stop.set()

        before = MemoryPublisher()
        run([source.connector()], before, RunOptions(once=True, policy=QUICK, stop=stop, progress=stop_after_two))
        after = MemoryPublisher()
        connector = source.connector()
        with closing(connector):
            for page in connector.snapshot(connector.stored()):
                after.records += page.records
        assert len(before.records) == 6
        assert len(after.records) == 3
        assert self.keys(before) | self.keys(after) == {f"D-{number}" for number in range(9)}

    def test_row_that_cannot_be_mapped_is_set_aside_and_the_run_goes_on(self, source: SourceUnderTest) -> None:
        """Rejects do not delay other rows; a reject is removed when its row becomes an event."""
        with source.transaction() as write:
            write.put("D-1", 1)
            write.put("D-2", 1, is_good=False)
            write.put("D-3", 1)
        counts = run([source.connector()], publisher := MemoryPublisher(), RunOptions(once=True, policy=QUICK))
        assert self.keys(publisher) == {"D-1", "D-3"}
        assert counts[0].rejected == 1
        with source.transaction() as write:
            write.put("D-2", 2)
        assert ("D-2", 2) in {(key, version) for key, version, _ in self.said(catch_up(source.connector()))}

    def test_versions_of_a_key_come_in_order(self, source: SourceUnderTest) -> None:
        """Rows of one key are published in the order of their versions."""
        publisher = MemoryPublisher()
        for version in range(1, 6):
            with source.transaction() as write:
                write.put("D-1", version)
                write.put(f"D-other-{version}", 1)
            if version % 2:
                catch_up(source.connector(), publisher)
        versions = [event["source_version"] for event in publisher.events() if event[self.key_field] == "D-1"]
        first_met = list(dict.fromkeys(versions))
        assert first_met == sorted(first_met)
        assert versions[-1] == 5

    def test_deletion_comes_as_revoke(self, source: SourceUnderTest) -> None:
        """A row that the source deletes is revoked, with a newer version."""
        with source.transaction() as write:
            write.put("D-1", 1)
        catch_up(source.connector())
        with source.transaction() as write:
            write.revoke("D-1", 2)
        assert ("D-1", 2, "REVOKE") in self.said(catch_up(source.connector()))

    def test_run_goes_on_when_the_source_comes_back(self, source: SourceUnderTest) -> None:
        """An outage of the source delays events and loses none."""
        with source.transaction() as write:
            for number in range(9):
                write.put(f"D-{number}", 1)
        publisher = MemoryPublisher()
        is_away = threading.Event()

        def take_away(counts: StreamCounts) -> None:
            if counts.published >= 3 and not is_away.is_set():
                is_away.set()
                source.stop()
                threading.Timer(0.5, source.start).start()

        run([source.connector()], publisher, RunOptions(once=True, policy=QUICK, progress=take_away))
        assert is_away.is_set()
        assert self.keys(publisher) == {f"D-{number}" for number in range(9)}
