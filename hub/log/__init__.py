"""The log as every part of the hub reads it: consumers, what records and batches are made of, topics' ids."""
