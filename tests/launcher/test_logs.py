"""Logs lie where only their owner reads them (ASVS 16.4.2)."""

import stat
from pathlib import Path

from portal.launcher.instance import Instance


def test_nobody_else_reads_or_writes_the_logs_of_a_portal(tmp_path: Path) -> None:
    portal = Instance(tmp_path / "data")
    (tmp_path / "data" / "logs").mkdir(mode=0o755, parents=True)  # of an older portal
    portal.prepare()
    assert stat.S_IMODE(portal.logs.stat().st_mode) == 0o700
    assert portal.logs.stat().st_uid == (tmp_path / "data").stat().st_uid
