"""How an agent would act for each task, reading only what the tools return."""

from evaluation.policies import framework, host, platform, reviewer
from evaluation.policies.policy import POLICIES, Answer, Policy

__all__ = ["POLICIES", "Answer", "Policy", "framework", "host", "platform", "reviewer"]
