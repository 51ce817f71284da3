from .benchmark import (
    plot_batches as plot_batches,
    plot_memory as plot_memory,
    plot_scaling as plot_scaling,
    plot_stage_times as plot_stage_times,
)
from .jets import plot_samples as plot_samples
from .rates import plot_rate_distortion as plot_rate_distortion, plot_rate_resolution as plot_rate_resolution
from .training import plot_transfer as plot_transfer
