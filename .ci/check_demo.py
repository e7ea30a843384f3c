"""Fail unless the demo ran a real model and its receipt holds: `check_demo.py demo.json`."""

import json
import sys
from pathlib import Path

demo = json.loads(Path(sys.argv[1]).read_text("utf-8"))
problems = [
    text
    for ok, text in (
        (demo["outcome"] == "real_inference", f"outcome is {demo['outcome']}: {demo.get('reason')}"),
        (bool((demo["run"] or {}).get("answer")), "there is no answer"),
        (
            {v["verdict"] for v in (demo["verify"] or {"verdicts": {}})["verdicts"].values()} == {"pass"},
            f"not every verdict is pass: {demo['verify']}",
        ),
        ((demo["summary"] or {}).get("request_count", 0) >= 1, "the summary counts no request"),
    )
    if not ok
]
if problems:
    sys.exit("\n".join(problems))
print("demo: real inference, every verdict pass,", demo["summary"]["request_count"], "request(s) in the ledger")
