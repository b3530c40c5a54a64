"""The headers of a kept answer lie sealed in its body."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("governance", "0004_kept_answers")]

    operations = [migrations.RemoveField("keptanswer", "etag")]
