from . import formats as formats
from .calorimeter import CalorimeterRegion as CalorimeterRegion, SimulationSettings as SimulationSettings
from .checks import (
    EventNumbers as EventNumbers,
    find_problems as find_problems,
    require_usable as require_usable,
    validate_jets as validate_jets,
)
from .detect import open_source as open_source
from .formats.pickles import read_pickled_table as read_pickled_table
from .formats.source import Source as Source, event_numbers as event_numbers, is_remote as is_remote
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
    pattern_root as pattern_root,
    read_jets as read_jets,
    sample_files as sample_files,
)
from .sample_units import decide_units as decide_units
from .samples import (
    EMBEDDED_FILES as EMBEDDED_FILES,
    Sample as Sample,
    first_events as first_events,
    load_contrasting_samples as load_contrasting_samples,
    load_published_jets as load_published_jets,
    load_sample as load_sample,
    require_sample as require_sample,
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
    wrap_angle as wrap_angle,
    wrap_phi as wrap_phi,
)
from .units import BAD_JETS as BAD_JETS, PER_GEV as PER_GEV, Decided as Decided, Reading as Reading
from .write import WRITTEN as WRITTEN, convert_jets as convert_jets, write_jets as write_jets
