"""The schemas for a Schema Registry: names, API, push to another registry."""
