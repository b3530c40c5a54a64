"""Tables of storage: runs, sizes, archived days, restores; ingest is told of a changed retention."""

import portal.kernel.clock
import portal.kernel.identifiers
from django.db import migrations, models

TELL = """
CREATE TRIGGER tell_ingest_of_retention AFTER UPDATE OF retention_days ON catalog_stream
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ("ingest", "0009_dead_letter_repairs"),
        ("catalog", "0013_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name='RestoredEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('restore_id', 'occurred_at', 'event_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('restore_id', models.UUIDField()),
                ('stream_id', models.BigIntegerField()),
                ('track', models.SmallIntegerField()),
                ('occurred_at', models.DateTimeField()),
                ('event_id', models.TextField(db_collation='C')),
                ('received_at', models.DateTimeField()),
                ('producer_id', models.BigIntegerField()),
                ('version', models.IntegerField(null=True)),
                ('subject', models.TextField(null=True)),
                ('source', models.TextField()),
                ('attributes', models.JSONField()),
                ('data', models.JSONField(null=True)),
                ('data_base64', models.BinaryField(null=True)),
                ('extra', models.JSONField(null=True)),
                ('content_hash', models.BinaryField()),
                ('marks', models.SmallIntegerField()),
                ('tx', models.BigIntegerField()),
                ('seq', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='StorageDay',
            fields=[
                ('pk', models.CompositePrimaryKey('parent', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('parent', models.CharField(max_length=40)),
                ('day', models.DateField()),
                ('size_bytes', models.BigIntegerField()),
                ('leaves', models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='StorageLeaf',
            fields=[
                ('pk', models.CompositePrimaryKey('parent', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('parent', models.CharField(max_length=40)),
                ('day', models.DateField()),
                ('swept', models.CharField(blank=True, default='', max_length=40)),
                ('counted', models.CharField(blank=True, default='', max_length=60)),
                ('size_bytes', models.BigIntegerField(default=0)),
                ('streams', models.JSONField(default=dict)),
                ('measured_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='ArchivedPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stream_id', models.BigIntegerField()),
                ('stream_name', models.CharField(max_length=255)),
                ('day', models.DateField()),
                ('track', models.SmallIntegerField()),
                ('part', models.PositiveIntegerField()),
                ('path', models.CharField(max_length=400, unique=True)),
                ('events', models.BigIntegerField()),
                ('size_bytes', models.BigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('content_sha256', models.CharField(max_length=64)),
                ('versions', models.JSONField(default=list)),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('last_id', models.TextField(blank=True, default='')),
                ('is_last', models.BooleanField(default=False)),
                ('from_tx', models.BigIntegerField()),
                ('below_tx', models.BigIntegerField()),
                ('created_at', models.DateTimeField(default=portal.kernel.clock.now)),
            ],
            options={
                'indexes': [models.Index(fields=['-day', 'stream_id', 'part'], name='archived_newest')],
                'constraints': [models.UniqueConstraint(fields=('stream_id', 'day', 'part'), name='archived_part')],
            },
        ),
        migrations.CreateModel(
            name='FieldExpiry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stream_id', models.BigIntegerField()),
                ('days', models.PositiveIntegerField()),
                ('plan', models.CharField(max_length=64)),
                ('done_before', models.DateTimeField(null=True)),
                ('from_tx', models.BigIntegerField(default=0)),
                ('changed', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('stream_id', 'days'), name='field_expiry_one')],
            },
        ),
        migrations.CreateModel(
            name='Restore',
            fields=[
                ('id', models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('stream_id', models.BigIntegerField()),
                ('since', models.DateField()),
                ('until', models.DateField()),
                ('state', models.CharField(choices=[('loading', 'loading'), ('ready', 'ready'), ('failed', 'failed')], default='loading', max_length=8)),
                ('said', models.TextField(blank=True, default='')),
                ('events', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(default=portal.kernel.clock.now)),
                ('created_by', models.CharField(max_length=254)),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['stream_id', '-created_at'], name='restore_stream')],
            },
        ),
        migrations.CreateModel(
            name='StorageRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=12)),
                ('started_at', models.DateTimeField(default=portal.kernel.clock.now)),
                ('alive_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('result', models.JSONField(default=dict)),
                ('failure', models.TextField(blank=True, default='')),
            ],
            options={
                'indexes': [models.Index(fields=['kind', '-id'], name='storage_run_newest')],
                'constraints': [models.UniqueConstraint(models.Value(1), condition=models.Q(('finished_at', None)), name='storage_run_one_live')],
            },
        ),
        migrations.CreateModel(
            name='StorageStream',
            fields=[
                ('stream_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('events', models.BigIntegerField()),
                ('size_bytes', models.BigIntegerField()),
                ('oldest_on', models.DateField()),
                ('newest_on', models.DateField()),
            ],
            options={
                'indexes': [models.Index(fields=['-size_bytes', 'stream_id'], name='storage_stream_largest')],
            },
        ),
        migrations.RunSQL(TELL, "DROP TRIGGER tell_ingest_of_retention ON catalog_stream;"),
    ]
