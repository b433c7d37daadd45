"""The Kafka log as every part of the hub reads it: consumers, the format of records and batches, topics' ids."""
