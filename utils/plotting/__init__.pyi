from .benchmark import (
    plot_batches as plot_batches,
    plot_memory as plot_memory,
    plot_scaling as plot_scaling,
    plot_stage_times as plot_stage_times,
)
from .bits import (
    plot_above_bound as plot_above_bound,
    plot_column_use as plot_column_use,
    plot_ladder as plot_ladder,
    plot_latent_bytes as plot_latent_bytes,
    plot_rank_bits as plot_rank_bits,
)
from .correlations import plot_corner as plot_corner
from .errors import (
    plot_overlay as plot_overlay,
    plot_overlays as plot_overlays,
    plot_plane as plot_plane,
    plot_residuals as plot_residuals,
    ratio_with_uncertainty as ratio_with_uncertainty,
)
from .jets import (
    plot_correlations as plot_correlations,
    plot_distributions as plot_distributions,
    plot_latents as plot_latents,
    plot_samples as plot_samples,
)
from .notebook import (
    SINGLE_FIGURES as SINGLE_FIGURES,
    show_figure as show_figure,
    show_training as show_training,
)
from .rates import (
    plot_few_rates as plot_few_rates,
    plot_rate_distortion as plot_rate_distortion,
    plot_rate_resolution as plot_rate_resolution,
    plot_rate_resolutions as plot_rate_resolutions,
)
from .seeds import (
    plot_comparison as plot_comparison,
    plot_sample_size as plot_sample_size,
    plot_training_time as plot_training_time,
)
from .style import (
    SYMBOLS as SYMBOLS,
    axis_label as axis_label,
    figure_title as figure_title,
    model_color as model_color,
    residual_label as residual_label,
    save_figure as save_figure,
)
from .training import (
    pca_loss as pca_loss,
    plot_activations as plot_activations,
    plot_learning_rate as plot_learning_rate,
    plot_losses as plot_losses,
    plot_summary as plot_summary,
    plot_transfer as plot_transfer,
)
from .trees import (
    plot_bound_residuals as plot_bound_residuals,
    plot_branch_bytes as plot_branch_bytes,
    plot_collection_sizes as plot_collection_sizes,
    plot_dijet_masses as plot_dijet_masses,
)
