"""Requests for access may be for a consumer or a producer."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0020_audit_named_whole'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='accessrequest',
            name='access_request_one_open',
        ),
        migrations.AddField(
            model_name='accessrequest',
            name='holder_id',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='accessrequest',
            name='holder_kind',
            field=models.CharField(blank=True, db_default='', default='', max_length=10),
        ),
        migrations.AddField(
            model_name='accessrequest',
            name='holder_name',
            field=models.CharField(blank=True, db_default='', default='', max_length=60),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('holder_kind', ''), ('state', 'open')), fields=('requester', 'resource_kind', 'resource_key'), name='access_request_one_open'),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'open'), models.Q(('holder_kind', ''), _negated=True)), fields=('holder_kind', 'holder_id', 'resource_kind', 'resource_key'), name='access_request_one_open_of_holder'),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('holder_id__isnull', True), ('holder_kind', ''), ('holder_name', '')), models.Q(models.Q(('holder_name', ''), _negated=True), ('holder_id__isnull', False), ('holder_kind__in', ['consumer', 'producer'])), _connector='OR'), name='access_request_holder'),
        ),
    ]
