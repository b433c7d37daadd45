"""Golden records in columns: claims as Arrow columns, spread over records, encoded and digested all together."""
