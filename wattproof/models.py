"""The results of the tools as pydantic models, for code that calls them or reads what they returned.

from wattproof.models import EstimateResult

result = EstimateResult.model_validate(structured_content)
"""

from __future__ import annotations

from wattproof.tools.estimate_result import EstimateResult
from wattproof.tools.estimate_rows import EstimateRows
from wattproof.tools.explain import ExplainResult
from wattproof.tools.figures import Figure
from wattproof.tools.importing import ImportResult
from wattproof.tools.operation_result import OperationResult
from wattproof.tools.provenance import Provenance, StatedProvenance
from wattproof.tools.recommend_window import WindowResult
from wattproof.tools.run_inference import RunResult
from wattproof.tools.summarize_ledger import SummaryResult
from wattproof.tools.verify_receipt import VerifyResult

__all__ = [
    "EstimateResult",
    "EstimateRows",
    "ExplainResult",
    "Figure",
    "ImportResult",
    "OperationResult",
    "Provenance",
    "RunResult",
    "StatedProvenance",
    "SummaryResult",
    "VerifyResult",
    "WindowResult",
]
