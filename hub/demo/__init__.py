"""The demo "midnight in Ninh Bình": invented people and dossiers, five source databases, faults, and a full account.

``policy.toml`` in this folder declares its sources; it is the hub's policy if none is set.
"""

from pathlib import Path


def default_policy_path() -> Path:
    """Return the policy file of the demo."""
    return Path(__file__).with_name("policy.toml")
