"""Several sources in one command: selects those to encode and reports each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from inrcodec.cli import console
from inrcodec.cli.console import Verbosity
from inrcodec.cli.lines import encode_lines, error_line, table_lines
from inrcodec.encoder.encode import encode_all
from inrcodec.encoder.ladder import Rung, encode_rungs
from inrcodec.encoder.result import EncodeResult
from inrcodec.errors import explained
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline


def encode_several(
    requests: Sequence[tuple[str, str]],
    rungs: Sequence[Rung],
    settings: EncodeSettings,
    deadline: Deadline,
    verbosity: Verbosity,
    log: str | None,
) -> tuple[int, list[dict[str, Any]]]:
    """Encode each (source, output); return the first failure's exit code (0 for none) and a row for each.

    `rungs` are the `requests` as rungs of a ladder, or empty without a ladder.

    A row has `source` and `output`, and either `result` or `error` and `exit_code`. It has none of these if
    the output exists already: such outputs are skipped, so that the same command resumes where it stopped.
    """
    rows: list[dict[str, Any]] = [{"source": source, "output": output} for source, output in requests]
    todo = [row for row in rows if settings.overwrite or not os.path.isfile(row["output"])]
    with console.progress_for(verbosity, log) as progress:

        def ended(index: int, result: EncodeResult | Exception) -> None:
            row = todo[index]
            if isinstance(result, Exception):
                row["error"], row["exit_code"] = explained(result)
                progress.log.write(
                    "error", output=row["output"], message=row["error"], exit_code=row["exit_code"]
                )
                progress.report(error_line(f"{row['source']}: {row['error']}"))
                return
            row["result"] = result.as_dict()
            progress.log.write("result", output=row["output"], **row["result"])
            if verbosity >= Verbosity.NORMAL:
                for line in encode_lines(row["output"], row["result"]):
                    progress.report(line)

        outputs = {row["output"] for row in todo}
        if todo and rungs:
            left = [rung for rung in rungs if rung.output in outputs]
            encode_rungs(left, settings, progress, ended, deadline)
        elif todo:
            encode_all([(row["source"], row["output"]) for row in todo], settings, progress, ended, deadline)
    if verbosity >= Verbosity.NORMAL:
        for line in table_lines(rows):
            console.say(line)
    codes = [row["exit_code"] for row in rows if "error" in row]
    return (codes[0] if codes else 0), rows
