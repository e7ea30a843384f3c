"""Operations: steps that were made elsewhere become entries, and many entries become one receipt."""

from wattproof.resources.operations.closing import TOTAL_METHOD, Closing, closing_of, ran_locally
from wattproof.resources.operations.recording import Step, stated_step
from wattproof.resources.operations.sci import MAX_SCI_STEPS, Sci, sci_of

__all__ = [
    "MAX_SCI_STEPS",
    "TOTAL_METHOD",
    "Closing",
    "Sci",
    "Step",
    "closing_of",
    "ran_locally",
    "sci_of",
    "stated_step",
]
