from . import formats as formats
from .calorimeter import CalorimeterRegion as CalorimeterRegion, SimulationSettings as SimulationSettings
from .checks import (
    find_problems as find_problems,
    require_distinct_events as require_distinct_events,
    require_usable as require_usable,
    validate_jets as validate_jets,
)
from .columns import (
    EMBEDDED_COLUMNS as EMBEDDED_COLUMNS,
    EVENT_WISE as EVENT_WISE,
    JET_WISE as JET_WISE,
    JetColumn as JetColumn,
    embedded_columns as embedded_columns,
    simulate_columns as simulate_columns,
    write_columns as write_columns,
    write_embedded_columns as write_embedded_columns,
)
from .detect import open_source as open_source, read_options as read_options
from .events import (
    EVENT_COLUMNS as EVENT_COLUMNS,
    EventIds as EventIds,
    event_columns as event_columns,
    event_ids as event_ids,
)
from .formats.assembly import event_numbers as event_numbers
from .formats.layouts import parse_columns as parse_columns, parse_padding as parse_padding
from .formats.newroot import new_root_file as new_root_file
from .formats.pickles import read_pickled_table as read_pickled_table
from .formats.source import Source as Source, is_remote as is_remote, reading as reading
from .particles import ParticleSettings as ParticleSettings
from .paths import (
    local_path as local_path,
    pattern_root as pattern_root,
    sample_files as sample_files,
    tell_of_repeats as tell_of_repeats,
)
from .published import (
    COMMIT as COMMIT,
    FILES as FILES,
    FOLDER_VARIABLE as FOLDER_VARIABLE,
    REPOSITORY as REPOSITORY,
    TEST_SAMPLE as TEST_SAMPLE,
    PublishedFile as PublishedFile,
    PublishedFilesError as PublishedFilesError,
    fetch_published as fetch_published,
    find_published as find_published,
    git_blob_id as git_blob_id,
    has_published as has_published,
    missing_published as missing_published,
    published_folder as published_folder,
    refuse_others as refuse_others,
)
from .read import (
    iter_jets as iter_jets,
    read_jets as read_jets,
)
from .sample_units import decide_units as decide_units, settle_units as settle_units
from .samples import (
    EMBEDDED_FILES as EMBEDDED_FILES,
    Dataset as Dataset,
    Sample as Sample,
    first_events as first_events,
    load_contrasting_samples as load_contrasting_samples,
    load_published_jets as load_published_jets,
    load_sample as load_sample,
    require_sample as require_sample,
    split_dataset as split_dataset,
    split_jets as split_jets,
)
from .simulation import simulate_jets as simulate_jets, write_embedded_sample as write_embedded_sample
from .summary import format_summary as format_summary, summarize_jets as summarize_jets
from .table import (
    CHUNK_JETS as CHUNK_JETS,
    COLUMNS as COLUMNS,
    FEATURES as FEATURES,
    MASS_LIMIT as MASS_LIMIT,
    MASSLESS as MASSLESS,
    UNITS as UNITS,
    JetError as JetError,
    JetWarning as JetWarning,
    Paths as Paths,
    concat_tables as concat_tables,
    cut_table as cut_table,
    event_counts as event_counts,
    feature_array as feature_array,
    make_table as make_table,
    number_of_events as number_of_events,
    select_jets as select_jets,
    table_ids as table_ids,
    with_empty_events as with_empty_events,
    wrap_angle as wrap_angle,
    wrap_phi as wrap_phi,
)
from .units import BAD_JETS as BAD_JETS, PER_GEV as PER_GEV, Decided as Decided, Reading as Reading
from .write import WRITTEN as WRITTEN, convert_jets as convert_jets, write_jets as write_jets
