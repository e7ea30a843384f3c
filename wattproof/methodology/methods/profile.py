"""Coefficients that a provider declares for itself, for the methods that are defined by them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity
from wattproof.methodology.quantity import Operand

__all__ = ["Declared", "assumed_profile", "declared_profile", "profile_operands"]

Declared = tuple[tuple[str, float], ...] | None
"""The fields of a declared profile, sorted; None where nobody declared one."""

_NOTHING: Mapping[str, float] = MappingProxyType({})


def declared_profile(activity: Activity) -> Declared:
    """The profile of an activity as a key for a cache."""
    return None if activity.profile is None else tuple(sorted(activity.profile.items()))


def profile_operands(
    declared: Declared, units: Mapping[str, str], default_file: str, defaults: Mapping[str, float] = _NOTHING
) -> tuple[Operand, ...]:
    """The fields named in `units` as operands: as declared, or as the edition's `default_file` interprets the provider.

    A declared profile may leave out the fields in `defaults`.

    Raises:
        InvalidInput: a field is missing or unknown.
    """
    if declared is None:
        edition = read_edition(default_file)
        profile, source_id = edition["profile"], edition["source_id"]
    else:
        profile, source_id = {**defaults, **dict(declared)}, "caller"
    if profile.keys() != units.keys():
        raise InvalidInput("profile", f"has the fields {', '.join(sorted(profile))}", f"give {', '.join(units)}")
    return tuple(Operand.of(name, profile[name], unit, source_id) for name, unit in units.items())


def assumed_profile(activity: Activity) -> tuple[str, ...]:
    """Names the profile as assumed where nobody declared one."""
    return ("profile",) if activity.profile is None else ()
