from .audit import write_audit_page as write_audit_page
from .fresh import (
    is_fresh as is_fresh,
    record_commit as record_commit,
    record_made as record_made,
    result_digest as result_digest,
    used_files as used_files,
)
from .notebooks import (
    ALL_THREADS as ALL_THREADS,
    BESIDE_TRAININGS as BESIDE_TRAININGS,
    NOTEBOOKS as NOTEBOOKS,
    READERS as READERS,
    TIMED as TIMED,
    Outcome as Outcome,
    declared_parameters as declared_parameters,
    find_notebooks as find_notebooks,
    run_notebooks as run_notebooks,
    share_parameters as share_parameters,
)
from .prose import (
    FUNCTIONS as FUNCTIONS,
    PAGES as PAGES,
    TEMPLATES as TEMPLATES,
    render_page as render_page,
    write_pages as write_pages,
)
from .results import (
    COMPARISON as COMPARISON,
    CUSTOM as CUSTOM,
    EXECUTION_TIME as EXECUTION_TIME,
    MEMORY as MEMORY,
    NO_NORMALIZATION as NO_NORMALIZATION,
    STANDARD as STANDARD,
    execution as execution,
    read_metrics as read_metrics,
    reference_metrics as reference_metrics,
    result_tables as result_tables,
    tables_text as tables_text,
)
from .summary import summary_text as summary_text, write_report as write_report
