from catalog.models.changes import Change, ChangeComment, ChangeVote, Vote
from catalog.models.consumers import Consumer, ConsumerMapping
from catalog.models.domains import Domain, DomainGroupPermission, DomainUserPermission
from catalog.models.drafts import Draft, DraftKind, DraftShare
from catalog.models.enforcement import EnforcementRule, FieldExtension
from catalog.models.glossary import Term, TermUse
from catalog.models.key_grants import (
    DomainConsumerPermission,
    DomainProducerPermission,
    StreamConsumerPermission,
    StreamProducerPermission,
)
from catalog.models.observed import ObservedRead
from catalog.models.producers import (
    KeyStreamQuota,
    Producer,
    ProducerSource,
    ProducerStream,
)
from catalog.models.promotions import Promotion, PromotionApproval, PromotionState
from catalog.models.registry import (
    RegistryMode,
    RegistryReference,
    RegistrySchema,
    RegistrySubject,
    RegistryVersion,
)
from catalog.models.schemas import SchemaField, SchemaVersion
from catalog.models.streams import (
    Follow,
    Stream,
    StreamAlias,
    StreamGroupPermission,
    StreamTag,
    StreamUserPermission,
    Tag,
)

__all__ = [
    "Change",
    "ChangeComment",
    "ChangeVote",
    "Consumer",
    "ConsumerMapping",
    "Domain",
    "DomainConsumerPermission",
    "DomainGroupPermission",
    "DomainProducerPermission",
    "DomainUserPermission",
    "Draft",
    "DraftKind",
    "DraftShare",
    "EnforcementRule",
    "FieldExtension",
    "Follow",
    "KeyStreamQuota",
    "ObservedRead",
    "Producer",
    "ProducerSource",
    "ProducerStream",
    "Promotion",
    "PromotionApproval",
    "PromotionState",
    "RegistryMode",
    "RegistryReference",
    "RegistrySchema",
    "RegistrySubject",
    "RegistryVersion",
    "SchemaField",
    "SchemaVersion",
    "Stream",
    "StreamAlias",
    "StreamConsumerPermission",
    "StreamGroupPermission",
    "StreamProducerPermission",
    "StreamTag",
    "StreamUserPermission",
    "Tag",
    "Term",
    "TermUse",
    "Vote",
]
