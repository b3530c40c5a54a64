"""What policies on requests for access read of a stream or a domain, as `resource`."""

from collections.abc import Mapping
from typing import Any

from catalog.classified import PERSONAL, SENSITIVITY
from catalog.models import Domain, Stream
from catalog.types import Classification


def stream_facts(stream: Stream) -> Mapping[str, Any]:
    """Of a stream; its owner is its domain's where it has none. Four queries at most."""
    owner = stream.owner_team or stream.domain.owner_team
    return {
        "kind": "stream",
        "name": stream.name,
        "domain": stream.domain.slug,
        "owner": owner.slug if owner is not None else "",
        "classification": str(stream.classification),
        "is_personal": stream.is_personal,
        "tier": str(stream.tier),
        "track": str(stream.track),
        "lifecycle": str(stream.lifecycle),
        "restricted": stream.restricted,
        "tags": sorted(stream.tags.values_list("slug", flat=True)),
    }


def domain_facts(domain: Domain) -> Mapping[str, Any]:
    """Of a domain: of each fact the gravest among its streams, which are granted with it."""
    rows = domain.streams.values_list("classification", "tier", "restricted").distinct().order_by()
    found = list(rows)
    gravest = max(
        (SENSITIVITY.index(Classification(classification)) for classification, _, _ in found),
        default=0,
    )
    owner = domain.owner_team
    return {
        "kind": "domain",
        "name": domain.slug,
        "domain": domain.slug,
        "owner": owner.slug if owner is not None else "",
        "classification": str(SENSITIVITY[gravest]),
        "is_personal": SENSITIVITY[gravest] in PERSONAL or _has_personal_subject(domain),
        "tier": min((str(tier) for _, tier, _ in found), default="T3"),
        "track": "",
        "lifecycle": "",
        "restricted": any(restricted for _, _, restricted in found),
        "tags": [],
    }


def _has_personal_subject(domain: Domain) -> bool:
    return domain.streams.filter(subject_classification__in=PERSONAL).exists()
