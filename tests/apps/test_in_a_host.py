"""The views in a browser, inside the official host bridge, with results of the real tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.apps.states import MELIOUS, operation, tampered
from wattproof.server.apps.views import VIEW_OF, VIEWS

if TYPE_CHECKING:
    from tests.apps.hosting import Host
    from tests.apps.world import World

Wire = dict[str, Any]

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CALLS: dict[str, tuple[str, Wire]] = {
    "receipt": ("verify_receipt", {"receipt": "r_x"}),
    "operation": ("track_operation", {"action": "status", "operation_id": "x"}),
    "ledger": ("summarize_ledger", {}),
}
EVERY_VIEW = pytest.mark.parametrize("name", [view.name for view in VIEWS])


@pytest.fixture(scope="module")
def receipt_id(world: World) -> str:
    return world.run()["receipt_id"]


@pytest.fixture(scope="module")
def workflow(world: World) -> str:
    operation(world)
    return "weekly-report"


def bundle_of(world: World, receipt_id: str) -> Wire:
    read = world.answer("resources/read", {"uri": f"wattproof://receipts/{receipt_id}"})
    return json.loads(read["contents"][0]["text"])


def result(content: Any, **beside: Any) -> Wire:
    return {"content": [{"type": "text", "text": "text of the result"}], "structuredContent": content, **beside}


def refusing(method: str, params: Wire) -> Wire:
    raise RuntimeError("the user declined")


# What every view does


@EVERY_VIEW
def test_a_view_says_that_it_is_there_and_how_high_it_is(host: Host, world: World, name: str) -> None:
    host.load(world.view(name))
    assert "waiting for the result" in host.text()
    assert host.run("document.getElementById('card').getAttribute('aria-busy')") == "true"
    host.settle()
    assert [kind for kind, _ in host.log] == ["size"] * len(host.log)


@EVERY_VIEW
def test_arguments_in_part_and_whole_draw_nothing(host: Host, world: World, name: str) -> None:
    host.load(world.view(name))
    before = host.text()
    host.give("ToolInputPartial", {"arguments": {"receipt": "r_", "since": 3}})
    host.give("ToolInputPartial", {})
    host.give("ToolInput", {"arguments": CALLS[name][1]})
    assert host.text() == before


@EVERY_VIEW
@pytest.mark.parametrize("reason", [None, "the user stopped it"])
def test_a_cancelled_call_says_so(host: Host, world: World, name: str, reason: str | None) -> None:
    host.load(world.view(name))
    host.give("ToolCancelled", {} if reason is None else {"reason": reason})
    assert f"was cancelled{f' ({reason})' if reason else ''}, so there is no result" in host.text()


@EVERY_VIEW
def test_a_failed_call_shows_its_reason_as_text(host: Host, world: World, name: str) -> None:
    host.load(world.view(name))
    text = f"Error executing tool verify_receipt: {HOSTILE}"
    host.give("ToolResult", {"content": [{"type": "text", "text": text}], "isError": True})
    assert "the call failed" in host.text()
    assert HOSTILE in host.text()
    assert "Error executing" not in host.text()
    assert not host.run("document.querySelector('img, main script')")


@EVERY_VIEW
@pytest.mark.parametrize(
    "content",
    [None, {}, {"steps": 3, "groups": "x", "verdicts": {}, "reasons": None, "bars": [None, 4], "period": []}],
    ids=["none", "empty", "of other types"],
)
def test_a_result_that_holds_little_draws_no_figure(host: Host, world: World, name: str, content: Any) -> None:
    host.load(world.view(name), capabilities={})
    host.give("ToolResult", {"content": [{"type": "text", "text": "said"}], "structuredContent": content})
    assert host.text()
    assert "undefined" not in host.text()
    assert "NaN" not in host.text()
    assert "[object" not in host.text()
    assert not host.run("document.querySelectorAll('svg.interval, .bar, .part').length")


@EVERY_VIEW
def test_a_text_that_is_markup_stays_text_wherever_it_stands(
    host: Host, world: World, name: str, receipt_id: str, workflow: str
) -> None:
    host.answer = lambda method, params: _hostile(world.answer(method, params))
    tool, arguments = _real_call(name, receipt_id, workflow)
    for mode in ("inline", "fullscreen"):
        host.load(world.view(name), displayMode=mode)
        host.give("ToolInput", {"arguments": _hostile(arguments)})
        host.give("ToolResult", _hostile(world.tool(tool, **arguments)))
        assert "<img src=x" in host.text()
        assert not host.run("document.querySelector('img, iframe, main script, main [onerror]')")
        assert host.run("document.title") != "owned"
        assert host.run("document.documentElement.scrollWidth <= innerWidth")
    assert not host.requests


@EVERY_VIEW
def test_colours_follow_the_host(host: Host, world: World, name: str, receipt_id: str, workflow: str) -> None:
    host.load(world.view(name), theme="dark")
    tool, arguments = _real_call(name, receipt_id, workflow)
    host.call(tool, arguments)
    background = "getComputedStyle(document.body).backgroundColor"
    assert host.run(background) == "rgb(28, 31, 34)"
    host.change(theme="light")
    assert host.run(background) == "rgb(255, 255, 255)"
    host.change(styles={"variables": {"--color-background-primary": "rgb(1, 2, 3)", "--color-text-primary": "red"}})
    assert host.run(background) == "rgb(1, 2, 3)"
    assert host.run("getComputedStyle(document.querySelector('h1')).color") == "rgb(255, 0, 0)"
    host.page.run("host.bridge.sendHostContextChange({styles: {variables: {'background': 'red', '--ink': 'blue'}}})")
    host.settle()
    assert host.run("document.documentElement.style.getPropertyValue('--ink')") == ""


@EVERY_VIEW
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 500])
def test_words_can_be_read_and_nothing_sticks_out(
    host: Host, world: World, name: str, receipt_id: str, workflow: str, theme: str, width: int
) -> None:
    host.resize(width)
    host.load(world.view(name), theme=theme)
    tool, arguments = _real_call(name, receipt_id, workflow)
    host.call(tool, arguments)
    assert host.run("document.documentElement.scrollWidth") <= width
    host.until(lambda: host.run("document.documentElement.scrollHeight <= innerHeight"))  # else it scrolls in the card
    assert host.run(CONTRASTS) == []


@EVERY_VIEW
def test_the_host_may_take_the_view_away(host: Host, world: World, name: str) -> None:
    host.load(world.view(name))
    assert host.page.run("host.bridge.teardownResource({})") == {}


@EVERY_VIEW
def test_every_control_is_reached_by_key_and_has_a_name(
    host: Host, world: World, name: str, receipt_id: str, workflow: str
) -> None:
    host.load(world.view(name))
    tool, arguments = _real_call(name, receipt_id, workflow)
    host.call(tool, arguments)
    controls = [(role, called) for role, called in host.named() if role in ("button", "radio")]
    assert controls
    assert all(called for _, called in controls)
    assert host.run("[...document.querySelectorAll('button, input')].every((control) => control.tabIndex === 0)")
    told = "one.matches('[aria-hidden=true], [role=img][aria-label]')"
    assert host.run(f"[...document.querySelectorAll('main svg')].every((one) => {told})")
    assert [role for role, _ in host.named() if role == "heading"]
    assert ("main", "") in host.named()


@EVERY_VIEW
def test_a_view_asks_no_network_and_breaks_no_policy(
    host: Host, world: World, name: str, receipt_id: str, workflow: str
) -> None:
    host.load(world.view(name))
    tool, arguments = _real_call(name, receipt_id, workflow)
    host.call(tool, arguments)
    assert not host.requests
    assert not host.page.complaints
    refused = "fetch('https://example.org/').then(() => 'sent', () => 'refused')"
    assert host.run(refused) == "refused"


@EVERY_VIEW
def test_a_host_that_lends_nothing_is_asked_for_nothing(
    host: Host, world: World, name: str, receipt_id: str, workflow: str
) -> None:
    host.load(world.view(name), capabilities={}, availableDisplayModes=["inline"])
    tool, arguments = _real_call(name, receipt_id, workflow)
    host.call(tool, arguments)
    assert {kind for kind, _ in host.log} == {"size"}
    assert host.run("document.querySelectorAll('button').length") == 0


@EVERY_VIEW
def test_only_the_host_is_listened_to(host: Host, world: World, name: str) -> None:
    host.load(world.view(name))
    before = host.text()
    forged = {"jsonrpc": "2.0", "method": "ui/notifications/tool-cancelled", "params": {"reason": "forged"}}
    script = f"parent.frames[0].postMessage({json.dumps(forged)}, '*'); parent.postMessage('sent', '*')"
    host.page.run(
        "new Promise((sent) => { addEventListener('message', ({ data }) => data === 'sent' && sent());"
        "const other = document.createElement('iframe'); other.setAttribute('sandbox', 'allow-scripts');"
        f"other.srcdoc = {json.dumps(f'<script>{script}</script>')}; document.body.append(other); }})"
    )
    host.settle()
    assert host.text() == before
    host.page.run("document.querySelectorAll('iframe')[1].remove()")


@EVERY_VIEW
def test_what_is_no_message_of_the_protocol_changes_nothing(host: Host, world: World, name: str) -> None:
    host.load(world.view(name))
    before = host.text()
    messages: tuple[Any, ...] = (
        None,
        "text",
        {"method": "ui/notifications/tool-cancelled"},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": 999, "result": {}},
        {"jsonrpc": "2.0", "method": "ui/notifications/of-tomorrow", "params": {}},
        {"jsonrpc": "2.0", "method": "ui/notifications/host-context-changed", "params": [1]},
    )
    for message in messages:
        host.page.run(f"host.frame.contentWindow.postMessage({json.dumps(message)}, '*')")
    host.settle()
    assert host.text() == before


@EVERY_VIEW
def test_a_question_that_a_view_does_not_know_is_answered_as_the_protocol_asks(
    host: Host, world: World, name: str
) -> None:
    host.load(world.view(name))
    asked: Wire = {"jsonrpc": "2.0", "id": "q1", "method": "tools/list", "params": {}}
    answer = host.page.run(
        "new Promise((answered) => { addEventListener('message', ({ data }) => data.id === 'q1' && answered(data));"
        f"host.frame.contentWindow.postMessage({json.dumps(asked)}, '*') }})"
    )
    assert answer == {"jsonrpc": "2.0", "id": "q1", "error": {"code": -32601, "message": "Method not found"}}


def test_every_tool_with_a_view_is_drawn_here() -> None:
    assert {tool for tool, _ in CALLS.values()} | {"run_inference"} == set(VIEW_OF)


# The receipt


def test_a_receipt_is_checked_and_its_figures_are_read_beside_the_models_context(
    host: Host, world: World, receipt_id: str
) -> None:
    host.load(world.view("receipt"))
    told = host.call("verify_receipt", {"receipt": receipt_id})
    assert "statement" not in told["structuredContent"]
    assert host.asked("tools/call") == [
        {"name": "verify_receipt", "arguments": {"receipt": receipt_id, "detail": "full"}}
    ]
    text = host.text()
    assert text.startswith(f"Receipt {receipt_id}\ngpt-oss-120b, by example, issued 2026-11-05 12:00Z")
    for said in (
        "Signature\nvalid",
        "Arithmetic\nrecomputed",
        "In the log\nby its own root",
        "Plausible\nwithin bounds",
    ):
        assert said in text
    assert "82 gCO2e/kWh, FI, estimated by the source, observed 2026-11-05 12:00Z, 0 min old when used" in text
    assert "wattproof/param@1.0.0" in text
    assert "key of this installation; inputs not independently audited" in text
    names = [name for role, name in host.named() if role in ("image", "img")]
    assert names == ["Energy: 1.6 mWh (0.65–4.1), 90 % interval", "CO2e: 0.13 mg (0.052–0.35), 90 % interval"]


def test_verify_again_asks_the_server_and_keeps_the_focus(host: Host, world: World, receipt_id: str) -> None:
    host.load(world.view("receipt"))
    host.call("verify_receipt", {"receipt": receipt_id})
    host.run("document.querySelector('[data-key=verify]').focus()")
    host.press("Verify again")
    assert len(host.asked("tools/call")) == 2
    assert host.said().startswith("Checked again. signature: pass, inclusion: pass")
    assert host.run("document.activeElement.textContent") == "Verify again"


def test_a_receipt_that_was_changed_fails_in_words_and_in_shape(host: Host, world: World, receipt_id: str) -> None:
    bad = tampered(bundle_of(world, receipt_id)["jws"])
    host.load(world.view("receipt"))
    host.call("verify_receipt", {"receipt": bad})
    assert "Signature\nFAILS" in host.text()
    assert "Signature: The signature was not made over these bytes" in host.text()
    assert "Not known: in the log (no proof)." in host.text()
    shapes = host.run(
        "Object.fromEntries([...document.querySelectorAll('[data-check]')].map((one) => "
        "[one.className.trim(), one.querySelector('svg').innerHTML]))"
    )
    assert {"pass", "fail", "unknown"} <= set(shapes)
    assert len({shapes[kind] for kind in ("pass", "fail", "unknown")}) == 3


def test_a_vendors_block_shows_its_doubts_and_no_figure_of_ours(host: Host, world: World) -> None:
    host.load(world.view("receipt"))
    host.call("verify_receipt", {"receipt": MELIOUS})
    text = host.text()
    assert text.startswith("Block of melious/environment_impact")
    assert "implies 400 gCO2e/kWh" in text
    assert "not signed by wattproof" in text
    assert "Download receipt" not in text
    assert not host.run("document.querySelectorAll('svg.interval').length")


def test_a_run_shows_its_expected_figures_and_has_its_receipt_checked_when_asked(host: Host, world: World) -> None:
    host.load(world.view("receipt"))
    run = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}], "max_output_tokens": 50}
    told = host.call("run_inference", run)
    assert "Signature\nnot checked" in host.text()
    assert not host.asked("tools/call")
    host.press("Verify receipt")
    assert host.asked("tools/call")[0]["arguments"]["receipt"] == told["structuredContent"]["receipt_id"]
    assert "Signature\nvalid" in host.text()


def test_a_dry_run_has_no_receipt_to_check(host: Host, world: World) -> None:
    host.load(world.view("receipt"))
    run = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}], "max_output_tokens": 50}
    host.call("run_inference", {**run, "dry_run": True})
    assert "dry run: nothing was sent" in host.text()
    assert "Verify" not in host.text()
    assert "Download" not in host.text()


def test_a_figure_without_an_interval_or_unknown_is_said_to_be_so(host: Host, world: World, receipt_id: str) -> None:
    full = world.tool("verify_receipt", receipt=receipt_id, detail="full")["structuredContent"]
    outputs = full["statement"]["outputs"]
    outputs["energy_nwh"] |= {"low": None, "high": None, "interval": "none"}
    outputs["carbon_location_ng"], full["statement"]["reasons"]["carbon_location_ng"] = None, "unknown zone"
    host.load(world.view("receipt"))
    host.give("ToolResult", result(full))
    assert "no interval is published" in host.text()
    assert "not known\n" in host.text()
    assert "unknown zone" in host.text()
    assert not host.run("document.querySelectorAll('svg.interval').length")


def test_a_simulated_receipt_is_marked(host: Host, world: World, receipt_id: str) -> None:
    full = world.tool("verify_receipt", receipt=receipt_id, detail="full")["structuredContent"]
    host.load(world.view("receipt"))
    host.give("ToolResult", result({**full, "synthetic": True}))
    assert "simulated, not a real run" in host.text()


def test_a_check_that_the_host_refuses_is_told_and_changes_nothing(host: Host, world: World, receipt_id: str) -> None:
    host.load(world.view("receipt"))
    host.call("verify_receipt", {"receipt": receipt_id})
    before = host.text()
    host.answer = refusing
    host.press("Verify again")
    assert "the user declined" in host.said()
    assert host.text().replace("the user declined", "").strip().startswith(before[:200])


@pytest.mark.parametrize("lends", ["resources", "links"])
def test_a_receipt_is_downloaded_by_the_host(host: Host, world: World, receipt_id: str, lends: str) -> None:
    granted: Wire = {"serverTools": {}, "downloadFile": {}}
    host.load(world.view("receipt"), granted if lends == "links" else {**granted, "serverResources": {}})
    host.call("verify_receipt", {"receipt": receipt_id})
    host.press("Download receipt")
    (file,) = host.asked("download")[0]["contents"]
    if lends == "links":
        assert file["type"] == "resource_link"
        assert (file["uri"], file["name"]) == (f"wattproof://receipts/{receipt_id}", f"{receipt_id}.json")
    else:
        assert file["resource"]["uri"] == f"file:///{receipt_id}.json"
        assert json.loads(file["resource"]["text"]) == bundle_of(world, receipt_id)
    assert host.said() == "The receipt was handed to the host."


def test_a_receipt_that_was_given_is_downloaded_as_it_was_given(host: Host, world: World, receipt_id: str) -> None:
    given = bundle_of(world, receipt_id)
    for receipt, mime_type in ((given["jws"], "application/jose"), (given, "application/json")):
        host.load(world.view("receipt"))
        host.call("verify_receipt", {"receipt": receipt})
        host.press("Download receipt")
        (file,) = host.asked("download")[0]["contents"]
        assert file["resource"]["mimeType"] == mime_type
        assert file["resource"]["text"] in (receipt, json.dumps(receipt, indent=2, ensure_ascii=False))


def test_a_download_that_the_host_declines_is_told(host: Host, world: World, receipt_id: str) -> None:
    host.page.run("host.download = { isError: true }")
    host.load(world.view("receipt"))
    host.call("verify_receipt", {"receipt": receipt_id})
    host.press("Download receipt")
    assert host.said() == "The host did not write the file."


# By key alone


def test_all_of_the_ledger_can_be_done_by_key(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    host.call("summarize_ledger", {"since": "2026-10-01"})
    focused = "document.activeElement.dataset.key ?? document.activeElement.getAttribute('aria-label')"
    host.page.run("host.frame.focus()")
    order = list[str]()
    for _ in range(3):
        host.page.press("Tab", 9)
        order.append(host.run(focused))
    assert order == ["basis-carbon_kg", "by-model", "mode"]
    host.page.press("Enter", 13)
    host.settle()
    assert host.asked("mode") == ["fullscreen"]
    assert host.run(focused) == "mode"
    host.run("document.querySelector('[name=basis]').focus()")
    host.page.press("ArrowRight", 39)
    host.settle()
    assert host.run(focused) == "basis-carbon_market_kg"
    assert "Null: known for 0 of" in host.text()


# The workflow


def test_a_workflow_says_which_step_dominates_and_what_the_budget_leaves(
    host: Host, world: World, workflow: str
) -> None:
    host.load(world.view("operation"))
    content = host.call("track_operation", {"action": "status", "operation_id": workflow})["structuredContent"]
    text = host.text()
    assert text.startswith(f"Workflow {workflow}")
    assert "6 steps" in text
    first = content["steps"][0]
    assert f"{first['step_id']} is {100 * first['share']:.0f} % of the known energy" in text
    assert "Known for 4 of 6 steps." in text
    assert "of 12 Wh used (the high bounds count)" in text
    assert "2 steps of unknown amount not counted" in text
    assert host.run("document.querySelectorAll('.part').length") == 3
    assert host.run("document.querySelectorAll('.over').length") == 0


def test_a_workflow_over_its_budget_says_by_how_much(host: Host, world: World) -> None:
    operation(world, "over", 2.0)
    host.load(world.view("operation"))
    host.call("track_operation", {"action": "status", "operation_id": "over"})
    assert "Over by" in host.text()
    assert host.run("document.querySelectorAll('.over').length") == 1


def test_a_workflow_without_steps_draws_nothing(host: Host, world: World) -> None:
    host.load(world.view("operation"))
    host.call("track_operation", {"action": "begin", "operation_id": "empty"})
    assert "0 steps, 0 tokens" in host.text()
    assert host.text().count("no steps yet") == 2
    assert not host.run("document.querySelectorAll('.part, .interval, .budget').length")


def test_a_workflow_of_one_step_has_none_that_dominates(host: Host, world: World) -> None:
    step = {"step_id": "only", "model": "gpt-oss-20b", "usage": {"input_tokens": 10}, "zone": "FR"}
    host.load(world.view("operation"))
    host.call("track_operation", {"action": "record", "operation_id": "one", "steps": [step]})
    assert "1 step, 10 tokens" in host.text()
    assert "Energy by step" in host.text()


def test_many_steps_are_counted_inline_and_listed_when_large(host: Host, world: World) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 100}
    for start in (0, 60):
        world.tool(
            "track_operation",
            action="record",
            operation_id="many",
            steps=[
                {"step_id": f"s{n}", "model": "gpt-oss-20b", "usage": usage, "zone": "FR"}
                for n in range(start, start + 60)
            ],
        )
    host.load(world.view("operation"))
    host.call("track_operation", {"action": "status", "operation_id": "many"})
    assert "117 other steps" in host.text()
    host.press("All steps")
    assert host.asked("mode") == ["fullscreen"]
    assert host.run("document.querySelectorAll('.steps tbody tr').length") == 101
    assert "20 other steps" in host.text()
    host.press("Back to the card")
    assert "116 other steps" in host.text()


def test_refresh_shows_what_came_since(host: Host, world: World) -> None:
    step = {"step_id": "a", "model": "gpt-oss-20b", "usage": {"input_tokens": 10}, "zone": "FR"}
    host.load(world.view("operation"))
    host.call("track_operation", {"action": "record", "operation_id": "grows", "steps": [step]})
    world.tool("track_operation", action="record", operation_id="grows", steps=[{**step, "step_id": "b"}])
    host.press("Refresh")
    assert "2 steps, 20 tokens" in host.text()
    assert host.said() == "Refreshed: 2 steps, 20 tokens."


# The ledger


def test_the_ledger_is_drawn_by_day_and_model_from_rows_that_no_model_sees(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    told = host.call("summarize_ledger", {"since": "2026-10-01"})
    assert "bars" not in told["structuredContent"]
    asked = [params["arguments"] for params in host.asked("tools/call")]
    assert asked == [
        {"rows": "bars", "since": "2026-10-01"},
        {"rows": "groups", "since": "2026-10-01", "group_by": "model"},
    ]
    bars = world.tool("ledger_rows", rows="bars", since="2026-10-01")["structuredContent"]["bars"]
    known = [bar for bar in bars if bar["carbon_kg"]]
    unknown = [bar for bar in bars if bar["request_count"] and not bar["carbon_kg"]]
    assert host.run("document.querySelectorAll('.days .bar').length") == len(known)
    assert host.run("document.querySelectorAll('.days .whisker').length") == len(known)
    assert host.run("document.querySelectorAll('.days .lost').length") == len(unknown) > 0
    rows = host.run("[...document.querySelectorAll('.unseen tbody tr')].map((row) => row.innerText)")
    assert len(rows) == len(known) + len(unknown)
    assert "claude-sonnet-4-6" in host.text()


def test_market_based_is_null_with_its_reason(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    host.call("summarize_ledger", {"since": "2026-10-01"})
    host.press("Market")
    assert "not known" in host.text()
    assert "Null: known for 0 of" in host.text()
    assert not host.run("document.querySelectorAll('.days').length")
    assert host.run("document.activeElement.value") == "carbon_market_kg"
    host.press("Energy")
    assert "Wh" in host.text()
    assert host.run("document.querySelectorAll('.days').length") == 1


def test_zones_are_read_when_they_are_chosen(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    host.call("summarize_ledger", {"since": "2026-10-01"})
    host.press("Zone")
    assert host.asked("tools/call")[-1]["arguments"] == {"rows": "groups", "since": "2026-10-01", "group_by": "zone"}
    assert "SE-SE3" in host.text()


def test_entries_come_page_by_page_when_it_is_large(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    host.call("summarize_ledger", {"since": "2026-10-01"})
    host.press("All entries")
    assert host.run("document.querySelectorAll('.scroll tbody tr').length") == 20
    first = host.run("document.querySelector('.scroll tbody tr').innerText")
    host.press("Next")
    assert "page 2" in host.text()
    assert host.said() == "Page 2"
    assert host.run("document.querySelector('.scroll tbody tr').innerText") != first
    host.press("Previous")
    assert host.run("document.querySelector('.scroll tbody tr').innerText") == first
    asked = [params["arguments"]["rows"] for params in host.asked("tools/call")]
    assert asked.count("entries") == 2
    host.press("Back to the card")
    assert not host.run("document.querySelectorAll('.scroll').length")


def test_a_host_that_stays_inline_is_taken_at_its_word(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    host.page.run("host.refuses = true")
    host.call("summarize_ledger", {"since": "2026-10-01"})
    host.press("All entries")
    assert "All entries" in host.text()
    assert not host.run("document.querySelectorAll('.scroll').length")


def test_an_empty_ledger_has_nothing_to_draw(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    host.call("summarize_ledger", {"since": "2030-01-01"})
    assert "No request was recorded in this period, so there is nothing to draw." in host.text()
    assert not host.asked("tools/call")


def test_filters_of_the_call_hold_for_the_rows(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    arguments = {"operation_id": "day-0", "tz": "Europe/Paris", "group_by": "zone"}
    host.call("summarize_ledger", arguments)
    assert host.asked("tools/call")[0]["arguments"] == {"rows": "bars", "tz": "Europe/Paris", "operation_id": "day-0"}
    assert host.asked("tools/call")[1]["arguments"]["group_by"] == "zone"
    assert "only operation id day-0" in host.text()


def test_rows_that_cannot_be_read_are_said_so_and_the_rest_stays(host: Host, world: World) -> None:
    host.load(world.view("ledger"))
    told = world.tool("summarize_ledger", since="2026-10-01", group_by="model")
    host.answer = refusing
    host.give("ToolInput", {"arguments": {"since": "2026-10-01", "group_by": "model"}})
    host.give("ToolResult", told)
    assert "The days could not be read: the user declined" in host.text()
    assert "90 % interval" in host.text()
    assert told["structuredContent"]["groups"][0]["model"] in host.text()


def test_a_host_that_lends_no_tools_sees_what_the_result_holds(host: Host, world: World) -> None:
    host.load(world.view("ledger"), capabilities={})
    host.call("summarize_ledger", {"since": "2026-10-01"})
    assert "ask for detail=plot" in host.text()
    assert "ask for group_by=model" in host.text()
    host.call("summarize_ledger", {"since": "2026-10-01", "detail": "plot", "group_by": "model"})
    assert host.run("document.querySelectorAll('.days .bar').length") > 5


def test_two_hundred_groups_are_five_inline_and_pages_when_large(host: Host, world: World) -> None:
    rows = [{"key": f"model-{n}", **GROUP} for n in range(200)]

    def answer(method: str, params: Wire) -> Wire:
        given = params["arguments"]
        if given["rows"] != "groups":
            return world.answer(method, params)
        start = int(given.get("cursor", 0))
        page = {"groups": rows[start : start + 20], "group_count": 200, "next_cursor": str(start + 20)}
        return result({**page, "period": {}, "reasons": {}, "provenance": {}})

    host.answer = answer
    host.load(world.view("ledger"))
    host.give("ToolResult", world.tool("summarize_ledger"))
    assert host.run("document.querySelectorAll('.groups li').length") == 5
    assert "195 more." in host.text()
    host.change(displayMode="fullscreen")
    assert host.run("document.querySelectorAll('.groups li').length") == 20
    host.press("Next 20")
    assert host.run("document.querySelectorAll('.groups li').length") == 40


GROUP: Wire = {
    "request_count": 1,
    "token_count": 1,
    "energy_kwh": {"median": 1e-3, "low": 5e-4, "high": 4e-3},
    "carbon_kg": {"median": 1e-4, "low": 5e-5, "high": 4e-4},
    "carbon_market_kg": None,
}

# Words that are harder to read than WCAG AA allows: 4.5 to 1. Backgrounds here are opaque or transparent.
CONTRASTS = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (colour) => rgba(colour).slice(0, 3).map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => { for (let one = element; one; one = one.parentElement) {
    const found = getComputedStyle(one).backgroundColor; if (rgba(found)[3] > 0) return found; } return 'white'; };
  const worded = [...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() &&
    [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && !one.closest('.stack'));
  return worded.map((one) => {
    const style = getComputedStyle(one);
    const [front, back] = [light(one instanceof SVGElement ? style.fill : style.color), light(behind(one))];
    return [(Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05), one.textContent];
  }).filter(([ratio]) => ratio < 4.5);
})()"""


def _real_call(name: str, receipt_id: str, workflow: str) -> tuple[str, Wire]:
    tool, _ = CALLS[name]
    return tool, {
        "receipt": {"receipt": receipt_id},
        "operation": {"action": "status", "operation_id": workflow},
        "ledger": {"since": "2026-10-01", "group_by": "model"},
    }[name]


def _hostile(value: Any) -> Any:
    """The same with markup behind every text but verdicts, cursors, times and the names of rows."""
    if isinstance(value, dict):
        kept = ("verdict", "next_cursor", "cursor", "rows", "since", "action", "receipt", "start", "type", "group_by")
        held = cast("Wire", value)
        return {key: one if key in kept else _hostile(one) for key, one in held.items()}
    if isinstance(value, list):
        return [_hostile(one) for one in cast("list[Any]", value)]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value
