"""A request for access keeps what policies said of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0022_audit_verbs'),
    ]

    operations = [
        migrations.AddField(
            model_name='accessrequest',
            name='policy',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
