"""Check and publish schema files: rules, compatibility, ids."""
