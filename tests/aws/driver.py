"""Runs what it is asked for, line by line, so that one JVM serves many commands.

A line is JSON: `arguments` of the command `whatif`, or the path of a `script`; and `environment`, for
this time only. The answer is a line of JSON too: `code`, and what was `shown`.
"""

from __future__ import annotations

import io
import json
import os
import runpy
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from whatif.cli import main


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Run one command or script."""
    shown, before = io.StringIO(), dict(os.environ)
    os.environ.update(asked.get("environment", {}))
    try:
        with redirect_stdout(shown), redirect_stderr(shown):
            if "script" in asked:
                sys.argv = [asked["script"], *asked.get("arguments", [])]
                runpy.run_path(asked["script"], run_name="__main__")
                code = 0
            else:
                sys.argv = ["whatif", *asked["arguments"]]
                code = main(asked["arguments"])
    except Exception:
        code = -1
        shown.write(traceback.format_exc())
    finally:
        for name in asked.get("environment", {}):
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
    return {"code": code, "shown": shown.getvalue()}


def serve() -> None:
    """Answer until the input ends."""
    # the JVM writes where it likes; answers have a way of their own
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
