"""Importing: records per second of a LiteLLM export into a fresh ledger, beside plain inserts of the same rows.

    python benchmarks/bench_import.py [--records 100000] [--rounds 3] [--folder DIR] [--json]

import  `import_usage` of a JSON Lines export: read, normalised, estimated, batched, signed, hashed, appended, rolled up
plain   the same rows of the tables `entry` and `receipt` inserted again, a transaction of 2,000 each, without any of it

Both write durably to the same folder, one after the other in every round. Figures are medians over rounds; the ratio is
the median of the ratios within each round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wattproof.resources.imports import FORMATS, ImportRequest, import_usage
from wattproof.resources.ledger import open_ledger
from wattproof.resources.ledger.driver import open_writer
from wattproof.resources.providers import load_catalogue

TARGET_PER_S = 20_000
_CHUNK = 2000
_MODELS = ("gpt-5-mini", "gpt-5", "claude-sonnet-4-6", "claude-haiku-4-5-20251001", "mistral-large-2512")
_PROVIDERS = ("openai", "openai", "anthropic", "anthropic", "mistral")


def write_export(path: Path, records: int) -> None:
    """A spend log such as LiteLLM's table holds: five models, eighty days."""
    with path.open("w") as file:
        for number in range(records):
            minute = number * 115_200 // records
            day, hour = 1 + minute // 1440 % 28, minute // 60 % 24
            row: dict[str, object] = {
                "request_id": f"chatcmpl-{number:012d}",
                "call_type": "acompletion",
                "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
                "spend": 0.00042 + number % 100 / 1e6,
                "total_tokens": 1200 + number % 900 + 300,
                "prompt_tokens": 1200 + number % 900,
                "completion_tokens": 300,
                "startTime": f"2026-{8 + minute // 40_320:02d}-{day:02d}T{hour:02d}:{minute % 60:02d}:07.123000+00:00",
                "endTime": f"2026-{8 + minute // 40_320:02d}-{day:02d}T{hour:02d}:{minute % 60:02d}:09.523000+00:00",
                "model": _MODELS[number % 5],
                "model_id": "",
                "model_group": "default",
                "custom_llm_provider": _PROVIDERS[number % 5],
                "api_base": "",
                "user": "default_user_id",
                "metadata": {"user_api_key_alias": "ci", "status": "success"},
                "cache_hit": "False",
                "cache_key": "Cache OFF",
                "request_tags": [],
                "team_id": "team-7",
                "end_user": "",
                "session_id": f"session-{number // 40}",
                "status": "success",
            }
            file.write(json.dumps(row) + "\n")


async def import_s(export: Path, home: Path) -> float:
    """Seconds of an import into a new ledger in `home`."""
    ledger = await asyncio.to_thread(
        open_ledger, home, clock=time.time, random_bytes=os.urandom, simulation=True, lock_timeout_s=60
    )
    async with ledger:
        request = ImportRequest(
            format=FORMATS["litellm"],
            paths=(export,),
            log_id="bench",
            deployments=load_catalogue(),
            now_s=time.time(),
            random_bytes=os.urandom,
        )
        begun = time.perf_counter()
        report = await import_usage(request, ledger)
        taken = time.perf_counter() - begun
    assert report.appended == report.records > 0, report
    return taken


def plain_s(home: Path, again: Path) -> float:
    """Seconds of inserting the rows of `home` into tables of the same shape in `again`."""
    source = open_writer(home / "ledger.sqlite3")
    entries = source.execute("SELECT * FROM entry WHERE kind = 'imported'").fetchall()
    receipts = source.execute(
        "SELECT r.* FROM receipt r JOIN entry e USING (log_id, seq) WHERE kind = 'imported'"
    ).fetchall()
    schema = [
        sql
        for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name IN ('log', 'entry', 'receipt', "
            "'factor_signature', 'dimension') AND type IN ('table', 'index')"
        )
    ]
    source.close()
    again.touch()
    target = open_writer(again)
    target.execute("PRAGMA journal_mode=WAL")
    target.execute("PRAGMA foreign_keys=OFF")
    for sql in schema:
        target.execute(sql)
    into_entry = f"INSERT INTO entry VALUES ({', '.join('?' * len(entries[0]))})"
    begun = time.perf_counter()
    for start in range(0, len(entries), _CHUNK):
        target.execute("BEGIN IMMEDIATE")
        target.executemany(into_entry, entries[start : start + _CHUNK])
        target.executemany("INSERT INTO receipt VALUES (?, ?, ?)", receipts[start : start + _CHUNK])
        target.execute("COMMIT")
    taken = time.perf_counter() - begun
    target.close()
    return taken


def measure(records: int, rounds: int, folder: Path | None) -> dict[str, Any]:
    """Figures of all rounds."""
    per_s: list[float] = []
    plain_per_s: list[float] = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        export = Path(temporary) / "spend.jsonl"
        write_export(export, records)
        for number in range(rounds):
            home = Path(temporary) / f"home{number}"
            per_s.append(records / asyncio.run(import_s(export, home)))
            plain_per_s.append(records / plain_s(home, Path(temporary) / f"plain{number}.sqlite3"))
    ratios = [ours / plain for ours, plain in zip(per_s, plain_per_s, strict=True)]
    median = statistics.median(per_s)
    return {
        "records": records,
        "rounds": rounds,
        "import_records_per_s": round(median),
        "plain_inserts_per_s": round(statistics.median(plain_per_s)),
        "import/plain": round(statistics.median(ratios), 3),
        "target_records_per_s": TARGET_PER_S,
        "met": median >= TARGET_PER_S,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure an import.")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's temporary folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    figures: Mapping[str, Any] = measure(options.records, options.rounds, options.folder)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<24}{value}")


if __name__ == "__main__":
    main()
