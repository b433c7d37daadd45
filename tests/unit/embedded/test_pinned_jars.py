"""The pin file of Kafka's jars as the package ships it."""

from hub.embedded.jars import KAFKA_VERSION, pinned_jars


def test_every_jar_is_pinned_by_a_sha256() -> None:
    pinned = pinned_jars()
    assert len({jar.file_name for jar in pinned}) == len(pinned)
    assert all(len(jar.sha256) == 64 for jar in pinned)


def test_kafka_and_its_log_lines_are_on_the_class_path() -> None:
    files = {jar.file_name for jar in pinned_jars()}
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in files
    assert any(name.startswith("log4j-slf4j-impl-") for name in files)
