"""Erasures of persons: who asked, what was done where, and who must not come back."""

import django.db.models.deletion
import django.db.models.functions.datetime
import portal.kernel.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0017_audit_out'),
    ]

    operations = [
        migrations.AlterField(
            model_name='notice',
            name='kind',
            field=models.CharField(choices=[('proposed', 'Proposed'), ('vote_wanted', 'Waits for your vote'), ('decided', 'Decided'), ('activated', 'Active'), ('deprecated', 'Deprecated'), ('retired', 'Retired'), ('changed', 'Changed'), ('request_waiting', 'Access asked for'), ('request_decided', 'Access decided'), ('alarm_raised', 'Alarm'), ('alarm_ended', 'Alarm over'), ('break_glass', 'Break-glass'), ('sign_in', 'Your account'), ('review_due', 'Review due'), ('erasure', 'Erasure')], max_length=20),
        ),
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('waiting', 'Waits for approval'), ('running', 'Runs'), ('done', 'Done'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn')], default='waiting', max_length=10)),
                ('basis', models.CharField(choices=[('not_needed', 'No longer needed'), ('consent_withdrawn', 'Consent withdrawn'), ('objection', 'Objection'), ('unlawful', 'Processed unlawfully'), ('legal_duty', 'A legal duty'), ('child', 'Collected from a child')], max_length=20)),
                ('reason', models.CharField(max_length=500)),
                ('identifiers', models.PositiveSmallIntegerField()),
                ('sealed', models.TextField(blank=True, default='')),
                ('requested_by', models.CharField(max_length=254)),
                ('requested_by_user', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('decided_by', models.CharField(blank=True, default='', max_length=254)),
                ('decided_by_user', models.BigIntegerField(default=0)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('decision', models.CharField(blank=True, default='', max_length=500)),
                ('at', models.DateTimeField(blank=True, null=True)),
                ('stores', models.JSONField(default=dict)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('receipt', models.JSONField(blank=True, null=True)),
                ('revision', models.PositiveIntegerField(default=1)),
                ('job', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='governance.job')),
            ],
        ),
        migrations.CreateModel(
            name='Tombstone',
            fields=[
                ('mark', models.BinaryField(primary_key=True, serialize=False)),
                ('erased_at', models.DateTimeField()),
                ('erasure', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tombstones', to='governance.erasure')),
            ],
        ),
        migrations.AddIndex(
            model_name='erasure',
            index=models.Index(fields=['-created_at', 'id'], name='erasure_newest'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), _negated=True), models.Q(('finished_at__isnull', False), ('receipt__isnull', False), ('sealed', '')), _connector='OR'), name='erasure_done_knows_nobody'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(('decided_by_user', 0), ('state', 'withdrawn'), models.Q(('decided_by_user', models.F('requested_by_user')), _negated=True), _connector='OR'), name='erasure_not_own'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['denied', 'withdrawn']), _negated=True), ('sealed', ''), _connector='OR'), name='erasure_ended_knows_nobody'),
        ),
    ]
