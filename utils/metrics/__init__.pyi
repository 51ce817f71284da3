from .errors import (
    RESIDUAL_UNITS as RESIDUAL_UNITS,
    absolute_error as absolute_error,
    count_massless as count_massless,
    delta_phi as delta_phi,
    mean_squared_error as mean_squared_error,
    published_residuals as published_residuals,
    residuals as residuals,
)
from .evaluation import (
    describe as describe,
    describe_transfer as describe_transfer,
    evaluate as evaluate,
    evaluate_transfer as evaluate_transfer,
    resolution_frame as resolution_frame,
    transfer_frame as transfer_frame,
)
from .resolution import (
    Resolution as Resolution,
    central_68 as central_68,
    median_and_width as median_and_width,
    read_resolutions as read_resolutions,
    resolution_table as resolution_table,
    resolutions as resolutions,
)
from .streaming import StreamingResolution as StreamingResolution
