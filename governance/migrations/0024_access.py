"""A request for access keeps what policies said of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0021_requests_for_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='accessrequest',
            name='policy',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
