"""Grants of consumers and producers; ingest is told when one of a producer changes."""

import django.contrib.postgres.fields
import django.db.models.deletion
import portal.kernel.clock
from django.db import migrations, models

TELL = """
CREATE TRIGGER tell_ingest AFTER INSERT OR DELETE
    OR UPDATE OF permission_id, content_object_id, producer_id, valid_from, valid_until, revoked_at
    ON catalog_streamproducerpermission
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
CREATE TRIGGER tell_ingest AFTER INSERT OR DELETE
    OR UPDATE OF permission_id, content_object_id, producer_id, valid_from, valid_until, revoked_at
    ON catalog_domainproducerpermission
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
CREATE TRIGGER tell_ingest_of_domain AFTER UPDATE OF domain_id ON catalog_stream
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""
TELL_NO_MORE = """
DROP TRIGGER tell_ingest_of_domain ON catalog_stream;
DROP TRIGGER tell_ingest ON catalog_domainproducerpermission;
DROP TRIGGER tell_ingest ON catalog_streamproducerpermission;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('catalog', '0018_erased_subjects'),
        ('governance', '0020_audit_named_whole'),
        ('ingest', '0003_catalog_notices'),  # the function that tells
    ]

    operations = [
        migrations.CreateModel(
            name='DomainConsumerPermission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('valid_from', models.DateTimeField(default=portal.kernel.clock.now)),
                ('valid_until', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('purpose', models.TextField(default='')),
                ('fields', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('granted_by', models.CharField(default='', max_length=254)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_by', models.CharField(blank=True, default='', max_length=254)),
                ('consumer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.consumer')),
                ('content_object', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.domain')),
                ('permission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='auth.permission')),
                ('request', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='governance.accessrequest')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('consumer', 'permission', 'content_object', 'fields'), name='domain_consumer_grant_once')],
            },
        ),
        migrations.CreateModel(
            name='DomainProducerPermission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('valid_from', models.DateTimeField(default=portal.kernel.clock.now)),
                ('valid_until', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('purpose', models.TextField(default='')),
                ('fields', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('granted_by', models.CharField(default='', max_length=254)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_by', models.CharField(blank=True, default='', max_length=254)),
                ('content_object', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.domain')),
                ('permission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='auth.permission')),
                ('producer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.producer')),
                ('request', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='governance.accessrequest')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('producer', 'permission', 'content_object', 'fields'), name='domain_producer_grant_once')],
            },
        ),
        migrations.CreateModel(
            name='StreamConsumerPermission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('valid_from', models.DateTimeField(default=portal.kernel.clock.now)),
                ('valid_until', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('purpose', models.TextField(default='')),
                ('fields', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('granted_by', models.CharField(default='', max_length=254)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_by', models.CharField(blank=True, default='', max_length=254)),
                ('consumer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.consumer')),
                ('content_object', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.stream')),
                ('permission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='auth.permission')),
                ('request', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='governance.accessrequest')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('consumer', 'permission', 'content_object', 'fields'), name='stream_consumer_grant_once')],
            },
        ),
        migrations.CreateModel(
            name='StreamProducerPermission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('valid_from', models.DateTimeField(default=portal.kernel.clock.now)),
                ('valid_until', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('purpose', models.TextField(default='')),
                ('fields', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('granted_by', models.CharField(default='', max_length=254)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_by', models.CharField(blank=True, default='', max_length=254)),
                ('content_object', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.stream')),
                ('permission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='auth.permission')),
                ('producer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='catalog.producer')),
                ('request', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='governance.accessrequest')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('producer', 'permission', 'content_object', 'fields'), name='stream_producer_grant_once')],
            },
        ),
        migrations.RunSQL(TELL, TELL_NO_MORE),
    ]
