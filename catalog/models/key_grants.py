"""Grants to consumers and producers: the rows that stand beside those of people and teams."""

from django.db import models
from guardian.models.models import BaseObjectPermission

from catalog.models.consumers import Consumer
from catalog.models.domains import Domain
from catalog.models.producers import Producer
from catalog.models.streams import Stream
from governance.models import TermedPermission


class StreamConsumerPermission(BaseObjectPermission, TermedPermission):
    content_object = models.ForeignKey(Stream, on_delete=models.CASCADE)
    consumer = models.ForeignKey(Consumer, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "permission", "content_object", "fields"],
                name="stream_consumer_grant_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.consumer} on {self.content_object}"


class StreamProducerPermission(BaseObjectPermission, TermedPermission):
    content_object = models.ForeignKey(Stream, on_delete=models.CASCADE)
    producer = models.ForeignKey(Producer, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["producer", "permission", "content_object", "fields"],
                name="stream_producer_grant_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.producer} on {self.content_object}"


class DomainConsumerPermission(BaseObjectPermission, TermedPermission):
    content_object = models.ForeignKey(Domain, on_delete=models.CASCADE)
    consumer = models.ForeignKey(Consumer, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "permission", "content_object", "fields"],
                name="domain_consumer_grant_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.consumer} on {self.content_object}"


class DomainProducerPermission(BaseObjectPermission, TermedPermission):
    content_object = models.ForeignKey(Domain, on_delete=models.CASCADE)
    producer = models.ForeignKey(Producer, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["producer", "permission", "content_object", "fields"],
                name="domain_producer_grant_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.producer} on {self.content_object}"
