"""Where a cloud region lies, and which native model ids leave it.

A region's zone is a row of `cloud_regions.json`. A cross-region profile is served from any of several regions, so its
location is unknown, whatever a row says of it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files

from wattproof.resources.providers.records import Deployment, LocationEvidence

__all__ = ["CloudRegion", "cloud_regions", "cross_region_reason", "region_of_host", "without_unsure_place"]

_REGIONAL_HOST = re.compile(r"bedrock-(?:runtime|mantle)(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)")
# Source: https://docs.aws.amazon.com/bedrock/latest/userguide/models-region-compatibility.html (geographic and global
# cross-Region inference).
_PROFILE_PREFIXES = ("us.", "us-gov.", "eu.", "apac.", "jp.", "au.", "ca.", "global.")


@dataclass(frozen=True, slots=True)
class CloudRegion:
    """The zone of one cloud region such as `aws/eu-north-1`; `pue` is what its operator publishes for that region."""

    region: str
    zone: str
    evidence: LocationEvidence
    source: str
    checked_at: str
    pue: float | None
    pue_source: str | None


@functools.cache
def cloud_regions() -> Mapping[str, CloudRegion]:
    """Every bundled region by its name."""
    content = json.loads(files("wattproof.resources.providers").joinpath("cloud_regions.json").read_bytes())
    return {row["region"]: CloudRegion(**row) for row in content["regions"]}


def region_of_host(host: str) -> str | None:
    """The region that a host name of a cloud states, such as `aws/eu-north-1`, or None."""
    found = _REGIONAL_HOST.fullmatch(host)
    return None if found is None else f"aws/{found[1]}"


def cross_region_reason(native_model: str) -> str | None:
    """Why a deployment with this native id may run in more than one region, or None.

    An application inference profile may copy a cross-region one, and its ARN does not tell which.
    """
    if native_model.startswith("arn:"):
        if "inference-profile/" not in native_model:
            return None
        return "an inference profile may be served from several regions"
    prefix = next((p for p in _PROFILE_PREFIXES if native_model.lower().startswith(p)), None)
    if prefix is None:
        return None
    return f"ids that begin with {prefix!r} are cross-region profiles, served from any region of the group"


def without_unsure_place(row: Deployment) -> Deployment:
    """`row`, or, where its native id is a cross-region profile, the same without the zone, region and PUE."""
    reason = cross_region_reason(row.native_model)
    if reason is None:
        return row
    return replace(
        row,
        zone=None,
        location_evidence="unknown",
        location_source=reason,
        cloud_region=None,
        pue=None,
        pue_source=None,
    )
