"""The hub's schemas in the terms of a Schema Registry: subject names, schema text, media type."""

import json

from hub.codec.catalogue import SchemaVersion
from hub.topology import event_topic

COMPATIBILITY = "FULL_TRANSITIVE"
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
SUBJECT_SUFFIX = "-value"
"""TopicNameStrategy: the subject of a topic's values is ``<topic>-value``."""


def registry_subject(subject: str) -> str:
    """Return the registry's name of a subject: ``citizen.changed`` is ``hub.citizen.changed.v1-value``."""
    return event_topic(subject) + SUBJECT_SUFFIX


def schema_text(version: SchemaVersion) -> str:
    """Return a schema in the form of registries: one line of JSON."""
    return json.dumps(version.schema, ensure_ascii=False, separators=(",", ":"))
