"""What operators, officers and auditors do with the hub; see docs/architecture.md."""
