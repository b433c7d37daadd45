"""What the race makes of its runs, and what it may fetch."""

import re

from hub.embedded.jars import KAFKA_VERSION
from tests.bench.newest_row import rows_newer_than_stored
from tests.bench.peers.fetch import APICURIO_VERSION, DEBEZIUM_VERSION, pinned
from tests.bench.peers.race import Runs, best_of, ratios, summary
from tests.bench.peers.sink import SCREENED, sink_properties
from tests.bench.peers.source_race import figures


def test_every_file_of_the_peers_is_pinned_in_the_versions_that_the_race_names() -> None:
    files = {file.artifact: file for file in pinned()}
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in pinned())
    assert files["connect-runtime"].version == KAFKA_VERSION
    assert files["apicurio-registry-utils-converter"].version == APICURIO_VERSION
    for name in ("debezium-connector-jdbc", "debezium-connector-postgres"):
        assert files[name].file_name == f"{name}-{DEBEZIUM_VERSION}-plugin.tar.gz"


def test_sink_is_tried_with_every_setting_worth_trying() -> None:
    tried = {(settings.tasks, settings.unnest) for settings in SCREENED}
    assert tried == {(tasks, unnest) for tasks in (1, 2, 4) for unnest in (True, False)}
    said = sink_properties(SCREENED[0], "s", "postgresql://u:p@127.0.0.1:5/d", "http://127.0.0.1:6")
    assert said["connection.url"] == "jdbc:postgresql://127.0.0.1:5/d?reWriteBatchedInserts=true"
    assert (said["insert.mode"], said["use.reduction.buffer"]) == ("upsert", "true")


def test_best_settings_are_the_quickest_that_ended() -> None:
    screened: Runs = {
        "a": [{"events_per_s": 1}],
        "b": [{"events_per_s": 3}],
        "c": [{"problem": "-"}],
        "d": [{"events_per_s": 2}],
    }
    assert best_of(screened) == ("b", "d")


def test_ratios_are_of_medians_against_the_best_of_the_sink() -> None:
    runs: Runs = {
        "limit": [{"events_per_s": 200}],
        "newest_row": [{"events_per_s": 120}],
        "whole_job_1": [{"events_per_s": rate} for rate in (70, 90, 80)],
        "sink_1_unnest": [{"events_per_s": 30}, {"problem": "it broke"}],
        "sink_2_unnest": [{"events_per_s": 40}],
    }
    found = summary(runs)
    assert found["whole_job_1"] == {"min": 70, "median": 80, "max": 90}
    assert ratios(found) == {
        "whole_job_vs_sink": 2.0,
        "newest_row_vs_sink": 3.0,
        "whole_job_vs_limit": 0.4,
        "newest_row_vs_limit": 0.6,
        "whole_job_1_vs_sink": 2.0,
    }


def test_newest_row_replaces_a_row_whole_and_only_by_a_newer_one() -> None:
    statement = " ".join(str(rows_newer_than_stored(["pin", "full_name", "source_epoch", "source_version"])).split())
    assert "ON CONFLICT (pin) DO UPDATE SET" in statement
    assert "full_name = excluded.full_name" in statement
    assert statement.count("cmnd9 = ") == 1
    assert statement.endswith(
        "WHERE (citizen.source_epoch, citizen.source_version) < (excluded.source_epoch, excluded.source_version)"
    )


def test_snapshots_are_compared_with_each_setting_of_debezium() -> None:
    runs: Runs = {
        "hub": [{"rows_per_s": rate} for rate in (40, 60, 50)],
        "debezium_avro": [{"rows_per_s": 25}],
        "debezium_json": [{"rows_per_s": 40}],
    }
    found = figures(runs)
    assert found["rows_per_s"]["hub"] == {"min": 40, "median": 50, "max": 60}
    assert found["ratios"] == {"hub_vs_debezium_avro": 2.0, "hub_vs_debezium_json": 1.25}
