"""The statistical functions by the names of the specification (statistics §15)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from analytics import funnels, retention, watermarks, windows
from experiments import assignment, exposures, promotion, targeting
from experiments.stats import (
    arms,
    bayes,
    comparison,
    cuped,
    families,
    guardrails,
    planning,
    quantiles,
    sample_ratio,
    sequential,
)
from portal.kernel import sketches
from quality import control_chart, distribution, machine, rates, volume

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "bucket": assignment.bucket,
    "assign_variant": assignment.assign_variant,
    "targeting": targeting.targeting,
    "exposures": exposures.exposures,
    "arm_mean": arms.arm_mean,
    "arm_proportion": arms.arm_proportion,
    "merge_moments": arms.merge_moments,
    "arm_ratio": arms.arm_ratio,
    "quantile_arm": quantiles.quantile_arm,
    "winsorize": arms.winsorize,
    "cuped": cuped.cuped,
    "welch": comparison.welch,
    "lift_interval": comparison.lift_interval,
    "lift_interval_delta": comparison.lift_interval_delta,
    "sequential": sequential.sequential,
    "decision": sequential.decision,
    "guardrail": guardrails.guardrail,
    "bayes_normal": bayes.bayes_normal,
    "bayes_beta_binomial": bayes.bayes_beta_binomial,
    "paired_shadow": comparison.paired_shadow,
    "srm": sample_ratio.srm,
    "srm_expected_phases": sample_ratio.srm_expected_phases,
    "adjust": families.adjust,
    "sample_size": planning.sample_size,
    "sample_size_guardrail": planning.sample_size_guardrail,
    "mde": planning.mde,
    "power": planning.power,
    "duration": planning.duration,
    "policy_decision": promotion.policy_decision,
    "watermark": watermarks.watermark,
    "lateness": watermarks.lateness,
    "hll": sketches.hll,
    "ddsketch": sketches.ddsketch,
    "windows": windows.windows,
    "funnel": funnels.funnel,
    "retention": retention.retention,
    "rate_check": rates.rate_check,
    "robust_z": volume.robust_z,
    "volume_scale": volume.volume_scale,
    "volume_bucket": volume.volume_bucket,
    "silence": volume.silence,
    "ewma_chart": control_chart.ewma_chart,
    "psi": distribution.psi,
    "psi_counts": distribution.psi_counts,
    "ks": distribution.ks,
    "js_distance": distribution.js_distance,
    "burn_rate": rates.burn_rate,
    "drop_accounting": rates.drop_accounting,
    "alert_machine": machine.alert_machine,
}
