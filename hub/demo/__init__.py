"""The demo "midnight in Ninh Bình": invented people and dossiers, five source databases, faults, and an account of all.

``policy.toml`` beside this module declares its sources; it is the hub's policy where none is set.
"""

from pathlib import Path


def default_policy_path() -> Path:
    """Return the policy file of the demo."""
    return Path(__file__).with_name("policy.toml")
