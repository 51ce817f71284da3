from .audit import write_audit_page as write_audit_page
from .notebooks import (
    NOTEBOOKS as NOTEBOOKS,
    Outcome as Outcome,
    declared_parameters as declared_parameters,
    find_notebooks as find_notebooks,
    run_notebooks as run_notebooks,
    share_parameters as share_parameters,
)
from .results import (
    BEGIN as BEGIN,
    COMPARISON as COMPARISON,
    CUSTOM as CUSTOM,
    ELU as ELU,
    END as END,
    EXECUTION_TIME as EXECUTION_TIME,
    LEAKY_RELU as LEAKY_RELU,
    MEMORY as MEMORY,
    NO_NORMALIZATION as NO_NORMALIZATION,
    RESIDUAL_GELU as RESIDUAL_GELU,
    execution as execution,
    read_metrics as read_metrics,
    reference_metrics as reference_metrics,
    result_tables as result_tables,
    tables_in as tables_in,
    tables_text as tables_text,
    write_tables as write_tables,
)
from .summary import summary_text as summary_text, write_report as write_report
