from .arrays import (
    assemble as assemble,
    canonical_form as canonical_form,
    floats_of as floats_of,
    labelled as labelled,
    pieces as pieces,
    with_floats as with_floats,
)
from .audit import audit as audit, lzma_size as lzma_size, observables_of as observables_of
from .bounds import SENTINELS as SENTINELS, Bound as Bound, Errors as Errors, kept as kept, rounded as rounded
from .observables import WORKING_POINTS as WORKING_POINTS, Observables as Observables
from .policy import (
    BOOKKEEPING as BOOKKEEPING,
    Plan as Plan,
    Policy as Policy,
    Rule as Rule,
    load_policy as load_policy,
    make_plans as make_plans,
)
from .read import Chunk as Chunk, iter_chunks as iter_chunks, read_chunk as read_chunk
from .record import (
    Outcome as Outcome,
    iter_left_out as iter_left_out,
    make_record as make_record,
    make_report as make_report,
)
from .sample import write_sample_tree as write_sample_tree
from .schema import (
    Column as Column,
    Lost as Lost,
    Tree as Tree,
    TreeError as TreeError,
    TreeFile as TreeFile,
    open_trees as open_trees,
)
from .settings import COMPRESSIONS as COMPRESSIONS, KINDS as KINDS, PRESETS as PRESETS
from .slim import (
    bounded_chunk as bounded_chunk,
    energy_unit as energy_unit,
    read_record as read_record,
    slim as slim,
    write_trees as write_trees,
)
from .tables import audit_tables as audit_tables
