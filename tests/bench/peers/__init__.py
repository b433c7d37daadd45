"""The race against what a team would use instead: Kafka Connect with Debezium's connectors."""
