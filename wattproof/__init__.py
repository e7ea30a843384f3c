"""wattproof: estimate, route, record and prove the footprint of LLM requests."""

__version__ = "0.1.0"
