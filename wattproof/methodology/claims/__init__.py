"""Statements about energy and carbon: which words say more than can be shown, and which figures stand without support.

Rules are data (`rules.toml`); English only. What a law or a standard asks is told as far as we know it and is not legal
advice. A text without findings is not thereby true, complete or in accordance with any of them.
"""

from wattproof.methodology.claims.amounts import Amount, amounts_in
from wattproof.methodology.claims.rules import Level, Regime, Rule, RuleSet, Support, Use, rule_set
from wattproof.methodology.claims.support import Figures, figures_of
from wattproof.methodology.claims.wording import Finding, Wording, check_wording

__all__ = [
    "Amount",
    "Figures",
    "Finding",
    "Level",
    "Regime",
    "Rule",
    "RuleSet",
    "Support",
    "Use",
    "Wording",
    "amounts_in",
    "check_wording",
    "figures_of",
    "rule_set",
]
