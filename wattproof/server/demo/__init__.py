"""``wattproof demo``: the main job on this machine, on real inference, in under 25 lines."""

from wattproof.server.demo.steps import DemoOutcome, run_demo

__all__ = ["DemoOutcome", "run_demo"]
