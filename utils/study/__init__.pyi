from .benchmark import (
    EFFORTS as EFFORTS,
    benchmark_text as benchmark_text,
    find_models as find_models,
    run_benchmark as run_benchmark,
    untrained_checkpoint as untrained_checkpoint,
)
from .methods import (
    DEFAULT_SETTING as DEFAULT_SETTING,
    all_methods as all_methods,
    bounded_method as bounded_method,
    bounds_for_mse as bounds_for_mse,
    round_mantissa as round_mantissa,
)
from .ratedistortion import (
    bytes_at_equal_error as bytes_at_equal_error,
    dijet_masses as dijet_masses,
    dijet_shift as dijet_shift,
    find_labelled_models as find_labelled_models,
    measure as measure,
    measure_all as measure_all,
    nearest_neighbour_entropy as nearest_neighbour_entropy,
    shannon_lower_bound as shannon_lower_bound,
)
from .record import notebook_folders as notebook_folders, save_model as save_model
from .reproduction import (
    LABELS as LABELS,
    PUBLISHED_RESULTS as PUBLISHED_RESULTS,
    markdown_tables as markdown_tables,
    published_custom_inverse as published_custom_inverse,
    reproduce as reproduce,
    text_tables as text_tables,
)
from .sweep_summary import (
    largest_sample as largest_sample,
    summarize_seeds as summarize_seeds,
    write_sweep as write_sweep,
)
from .sweeps import COMPARED as COMPARED, SweepError as SweepError, sweep as sweep
from .ways import ORIGINAL as ORIGINAL, PROJECT as PROJECT, Row as Row
