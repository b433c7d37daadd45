"""The operator's side of Kafka: topics, bounds, single records, stored offsets, publishing."""
