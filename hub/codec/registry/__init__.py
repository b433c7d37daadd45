"""The Schema Registry's side of the schemas: names, API, push to another registry."""
