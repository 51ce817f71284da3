from .benchmark import (
    BOUNDED_COLUMNS as BOUNDED_COLUMNS,
    EFFORTS as EFFORTS,
    MEMORY_COLUMNS as MEMORY_COLUMNS,
    THROUGHPUT_COLUMNS as THROUGHPUT_COLUMNS,
    TIME_COLUMNS as TIME_COLUMNS,
    benchmark_text as benchmark_text,
    describe_weights as describe_weights,
    find_models as find_models,
    load_models as load_models,
    matrix_text as matrix_text,
    run_benchmark as run_benchmark,
    untrained_checkpoint as untrained_checkpoint,
    with_labels as with_labels,
)
from .collections import (
    BOUNDED as BOUNDED,
    LOSSLESS as LOSSLESS,
    LZMA as LZMA,
    RNTUPLE as RNTUPLE,
    SHAPE_RULES as SHAPE_RULES,
    SMALLEST as SMALLEST,
    WAYS as WAYS,
    choose_policy as choose_policy,
    collection_totals as collection_totals,
    compare_ways as compare_ways,
    errors_frame as errors_frame,
    measure_collection as measure_collection,
    rules_frame as rules_frame,
    tree_file as tree_file,
    ways_frame as ways_frame,
    write_files as write_files,
)
from .density import (
    Density as Density,
    JetDensity as JetDensity,
    density_bits as density_bits,
    train_density as train_density,
)
from .determinism import changed_tables as changed_tables
from .gridded import GriddedJets as GriddedJets, mirrored as mirrored
from .jet_features import ORDER as ORDER, Ranges as Ranges
from .ladder import (
    ALONE as ALONE,
    BOUNDED_STEP as BOUNDED_STEP,
    CODES as CODES,
    EVENT as EVENT,
    LIMIT as LIMIT,
    Rung as Rung,
    Step as Step,
    event_saving as event_saving,
    ladder_frame as ladder_frame,
    ladder_steps as ladder_steps,
    measure_ladder as measure_ladder,
    rate_points as rate_points,
)
from .learned_transform import TransformTraining as TransformTraining, transform_rate as transform_rate
from .memory import trace_bounded as trace_bounded, trace_memory as trace_memory
from .methods import (
    DEFAULT_SETTING as DEFAULT_SETTING,
    LATENT_BITS as LATENT_BITS,
    MSE_STEPS as MSE_STEPS,
    all_methods as all_methods,
    bounded_method as bounded_method,
    bounds_for_mse as bounds_for_mse,
    mantissa_method as mantissa_method,
    missing_methods as missing_methods,
)
from .network_costs import compare_codecs as compare_codecs
from .observed import STORED as STORED, Seen as Seen, compare_observables as compare_observables
from .predictions import (
    ColumnNetworks as ColumnNetworks,
    alone_bytes as alone_bytes,
    foreign_bytes as foreign_bytes,
    gridded_columns as gridded_columns,
    latent_bytes as latent_bytes,
    of_jets as of_jets,
)
from .ratedistortion import (
    RESOLUTION_SOURCE as RESOLUTION_SOURCE,
    bytes_at_equal_error as bytes_at_equal_error,
    dijet_masses as dijet_masses,
    dijet_shift as dijet_shift,
    find_labelled_models as find_labelled_models,
    measure as measure,
    measure_all as measure_all,
    nearest_neighbour_entropy as nearest_neighbour_entropy,
    resolution_bands as resolution_bands,
    shannon_lower_bound as shannon_lower_bound,
)
from .record import (
    forget_trainings as forget_trainings,
    notebook_folders as notebook_folders,
    save_model as save_model,
    trainings_folder as trainings_folder,
    write_metrics as write_metrics,
)
from .reproduction import (
    LABELS as LABELS,
    PUBLISHED_RESULTS as PUBLISHED_RESULTS,
    evaluate_published as evaluate_published,
    load_result as load_result,
    markdown_tables as markdown_tables,
    published_custom_inverse as published_custom_inverse,
    reproduce as reproduce,
    text_tables as text_tables,
)
from .sweep_summary import (
    ERROR_COLUMNS as ERROR_COLUMNS,
    describe_seeds as describe_seeds,
    describe_starts as describe_starts,
    distinguished as distinguished,
    largest_sample as largest_sample,
    seeds_frame as seeds_frame,
    seeds_table as seeds_table,
    summarize_seeds as summarize_seeds,
    summary_frame as summary_frame,
    write_sweep as write_sweep,
)
from .sweeps import (
    COMPARED as COMPARED,
    REFINE_STEPS as REFINE_STEPS,
    SEEDS as SEEDS,
    SIZES as SIZES,
    SweepError as SweepError,
    refuse_other_sweep as refuse_other_sweep,
    sweep as sweep,
    train_study as train_study,
)
from .timing import (
    COLD_STAGES as COLD_STAGES,
    time_batches as time_batches,
    time_cold_start as time_cold_start,
    time_data as time_data,
    time_scaling as time_scaling,
    time_stages as time_stages,
    time_throughput as time_throughput,
)
from .training_time import time_loops as time_loops, time_training as time_training
from .transforms import TRANSFORMS as TRANSFORMS, bounded_bytes as bounded_bytes
from .ways import ORIGINAL as ORIGINAL, PROJECT as PROJECT, tile_jets as tile_jets
