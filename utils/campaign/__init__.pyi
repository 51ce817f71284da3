from .messages import listening as listening
from .result import Campaign as Campaign, campaign_text as campaign_text, resolution_text as resolution_text
from .run import run_campaign as run_campaign
from .words import (
    bounds_text as bounds_text,
    errors_lines as errors_lines,
    outside_text as outside_text,
    size_text as size_text,
)
