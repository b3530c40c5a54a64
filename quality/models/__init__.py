from quality.models.alarms import Alarm
from quality.models.checks import Baseline, Check, CheckDay, CheckKind

__all__ = ["Alarm", "Baseline", "Check", "CheckDay", "CheckKind"]
