"""Operations: steps that were made elsewhere become entries, and many entries become one receipt."""

from wattproof.resources.operations.closing import TOTAL_METHOD, Closing, closing_of
from wattproof.resources.operations.recording import Step, stated_step
from wattproof.resources.operations.sci import Sci, sci_of

__all__ = ["TOTAL_METHOD", "Closing", "Sci", "Step", "closing_of", "sci_of", "stated_step"]
