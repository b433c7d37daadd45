"""The registry of rules: every rule that has something to do after a merge or a re-decision is in it, once."""

import importlib
import pkgutil

from hub.reconcile import rules
from hub.reconcile.registry import RULES


def test_every_rule_with_a_step_is_registered_once_with_all_that_it_runs() -> None:
    names = [found.name for found in pkgutil.walk_packages(rules.__path__, f"{rules.__name__}.")]
    modules = [importlib.import_module(name) for name in names]
    for step, registered in (
        ("step", [rule.after_merge for rule in RULES]),
        ("follow", [rule.after_redecision for rule in RULES]),
    ):
        defined = [module.__dict__[step] for module in modules if step in module.__dict__]
        assert [registered.count(function) for function in defined] == [1] * len(defined), step
    assert len({rule.about for rule in RULES}) == len(RULES)
