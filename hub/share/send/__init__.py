"""Send records to Kafka: one transaction, what the broker refused, topics that are deleted meanwhile."""
