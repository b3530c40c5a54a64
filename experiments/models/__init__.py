from experiments.models.analysis import AnalysisSnapshot, Exposure
from experiments.models.experiments import Experiment, ExperimentMetric, Variant
from experiments.models.metrics import Metric

__all__ = ["AnalysisSnapshot", "Experiment", "ExperimentMetric", "Exposure", "Metric", "Variant"]
