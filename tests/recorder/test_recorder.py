"""Recording calls that code made itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput, OperationClosed
from wattproof.recorder import Recorder, StepUsage
from wattproof.recorder.background import Closed
from wattproof.testing import Frozen
from wattproof.tools.summarize_ledger import SummaryArgs, summarize_ledger

ROOT = Path(__file__).parents[2]
CALL: dict[str, Any] = {"model": "gpt-5-mini", "provider": "openai", "input_tokens": 1200, "output_tokens": 300}


def test_steps_add_up_in_their_operation(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    for _ in range(3):
        recorder.submit(**CALL)
    found = recorder.status()
    assert (found.step_count, found.token_count) == (3, 4500)
    assert found.energy_wh is not None
    assert found.provenance.region_scope == "unknown:openai"


def test_what_code_states_is_never_called_the_provider_s(inputs: Frozen) -> None:
    found = inputs.recorder("op_1").record(**CALL)
    assert found.usage_sources == {"caller": 1}


def test_a_recorded_step_is_on_disk_on_return(inputs: Frozen) -> None:
    inputs.recorder("op_1").record(StepUsage(**CALL, zone="FR"))
    summary = inputs.call(summarize_ledger, SummaryArgs(operation_id="op_1"))
    assert summary.request_count == 1
    assert summary.provenance.region_scope == "FR"


def test_the_recorder_s_zone_holds_for_steps_that_state_none(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1", zone="SE-SE3")
    recorder.submit(**CALL)
    recorder.submit(**CALL, zone="PL")
    assert recorder.status().provenance.region_scope == "multi:PL,SE-SE3"


def test_a_step_with_a_name_counts_once(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    for _ in range(4):
        recorder.submit(**CALL, step_id="s1")
    assert recorder.status().step_count == 1
    assert recorder.dropped == 0


def test_spellings_of_gateways_find_the_model(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    recorder.submit(**{**CALL, "model": "openrouter/openai/gpt-5-mini:free", "provider": "OpenAI"})
    assert recorder.status().energy_wh is not None


def test_a_model_that_nobody_knows_is_recorded_without_figures(inputs: Frozen) -> None:
    found = inputs.recorder("op_1").record(**{**CALL, "model": "my-own-model"})
    assert found.step_count == 1
    assert found.energy_wh is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -1},
        {"cached_input_tokens": 5000},
        {"zone": "Atlantis"},
        {"step_id": "s1"},
        {"colour": "red"},
        {"model": None},
        {"input_tokens": 1.5},
        {"provider": 7},
        {"operation_id": "x" * 500},
    ],
    ids=str,
)
def test_a_step_that_cannot_be_recorded_breaks_nothing_and_takes_no_neighbour_along(
    inputs: Frozen, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    recorder = inputs.recorder("op_1")
    recorder.record(**{**CALL, "input_tokens": 7}, step_id="s1")
    with caplog.at_level(logging.WARNING, "wattproof.recorder"):
        recorder.submit(**CALL)
        recorder.submit(**{**CALL, **wrong})
        recorder.submit(**CALL)
        assert recorder.status().step_count == 3
    assert recorder.dropped == 1
    assert "1 step(s) could not be recorded" in caplog.text


def test_record_raises_what_is_wrong(inputs: Frozen) -> None:
    with pytest.raises(InvalidInput, match="input_tokens"):
        inputs.recorder("op_1").record(**{**CALL, "input_tokens": -1})


def test_a_step_without_an_operation_is_refused_or_dropped(inputs: Frozen) -> None:
    recorder = inputs.recorder()
    with pytest.raises(InvalidInput, match="operation_id"):
        recorder.record(**CALL)
    recorder.submit(**CALL)
    assert recorder.dropped == 1
    assert recorder.record(**CALL, operation_id="op_2").operation_id == "op_2"


def test_an_operation_ends_with_a_receipt_and_takes_no_more(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    recorder.submit(**CALL)
    ended = recorder.end()
    assert ended.receipt_id is not None
    assert ended.step_count == 1
    with pytest.raises(OperationClosed):
        recorder.record(**CALL)


def test_threads_share_a_recorder(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")

    def work() -> None:
        for _ in range(25):
            recorder.submit(**CALL)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.status().step_count == 100


async def test_submitting_within_an_event_loop_does_not_wait_for_it(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    recorder.submit(**CALL)
    assert recorder.status().step_count == 1


def test_a_closed_recorder_says_so(inputs: Frozen, caplog: pytest.LogCaptureFixture) -> None:
    recorder = inputs.recorder("op_1")
    recorder.submit(**CALL)
    recorder.close()
    recorder.close()
    recorder.submit(**CALL)
    assert recorder.dropped == 1
    assert "was closed" in caplog.text
    with pytest.raises(Closed):
        recorder.record(**CALL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_recorder_of_the_parent_says_so_in_a_forked_child(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    child = os.fork()
    if child == 0:
        recorder.submit(**CALL)
        os._exit(recorder.dropped)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_ledger_that_cannot_be_opened_drops_the_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with Recorder("op_1", home=tmp_path / "file", environ={}) as recorder:
        recorder.submit(**CALL)
        recorder.flush()
        assert recorder.dropped == 1
    assert "is a file, not a folder" in caplog.text


def test_the_home_of_the_command_line_is_the_recorder_s(tmp_path: Path) -> None:
    code = """
import sys
from wattproof.recorder import Recorder
with Recorder("op_cli") as recorder:
    recorder.submit(model="gpt-5-mini", provider="openai", input_tokens=1000, output_tokens=100)
    print(recorder.status().step_count)
assert not [name for name in sys.modules if name.partition(".")[0] in {"mcp", "typer", "starlette", "uvicorn"}]
"""
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "WATTPROOF_HOME": str(tmp_path), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"
    command = [sys.executable, "-m", "wattproof", "summary", "--operation-id", "op_cli"]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert "1 request" in told


@pytest.mark.parametrize(
    ("module", "missing", "told"),
    [
        ("otel", "opentelemetry.sdk.trace", "pip install 'wattproof[telemetry]'"),
        ("langchain", "langchain_core.callbacks", "pip install langchain-core"),
    ],
)
def test_a_hook_without_its_library_says_what_to_install(module: str, missing: str, told: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import wattproof.recorder.{module}"
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Unavailable: " in done.stderr
    assert told in done.stderr


def test_litellm_s_hook_needs_no_library() -> None:
    code = "import sys; sys.modules['litellm'] = None; from wattproof.recorder.litellm import WattproofLogger"
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
