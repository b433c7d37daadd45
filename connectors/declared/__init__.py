"""The declaration: one TOML file per source, read into frozen values."""
