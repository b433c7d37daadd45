"""Commands of the log: `hub topics`, `hub offsets`, `hub archive`."""
