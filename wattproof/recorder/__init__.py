"""Record the calls that your own code makes: their usage becomes steps of an operation in the ledger.

    from wattproof.recorder import Recorder

    with Recorder("op_nightly") as recorder:
        answer = client.chat.completions.create(...)
        recorder.submit(
            model=answer.model,
            provider="openai",
            input_tokens=answer.usage.prompt_tokens,
            output_tokens=answer.usage.completion_tokens,
        )
        print(recorder.status().energy_wh)

`otel`, `langchain` and `litellm` beside this file do the same from the hooks of those libraries. Usage that code states
is marked so in the receipt (`usage_source: caller`): nobody here saw the provider's answer.
"""

from __future__ import annotations

from wattproof.recorder.recorder import Recorder, StepUsage

__all__ = ["Recorder", "StepUsage"]
