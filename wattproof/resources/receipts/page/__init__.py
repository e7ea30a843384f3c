"""The offline verifier as one HTML file: sources, and what puts them together into ``verify.html``."""

from wattproof.resources.receipts.page.assemble import assemble, shipped

__all__ = ["assemble", "shipped"]
