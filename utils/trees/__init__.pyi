from .audit import audit as audit
from .bounds import SENTINELS as SENTINELS, Bound as Bound, Errors as Errors, rounded as rounded
from .observables import WORKING_POINTS as WORKING_POINTS, Observables as Observables
from .policy import (
    BOOKKEEPING as BOOKKEEPING,
    Plan as Plan,
    Policy as Policy,
    Rule as Rule,
    load_policy as load_policy,
    make_plans as make_plans,
)
from .read import iter_chunks as iter_chunks
from .record import iter_left_out as iter_left_out
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
from .slim import read_record as read_record, slim as slim
from .tables import audit_tables as audit_tables
