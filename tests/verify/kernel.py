"""What the kernel itself says: ``ip route get``, thousands of questions in one process."""

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

# What a refusal of the kernel means: fib_props of net/ipv4/fib_semantics.c, fib_rules of either family, fib_validate_source().
REFUSALS = {
    "Invalid argument": "blackhole",
    "No route to host": "unreachable",
    "Network is unreachable": "no-route",  # also a policy rule of type unreachable
    "Permission denied": "prohibit",
    "Invalid cross-device link": "reverse-path",
}


def ask(questions: Sequence[str], version: int) -> list[dict[str, Any] | str]:
    """Return for each question, ``DST from SRC iif DEV``, the route as ``ip -j route get`` prints it, or the refusal."""
    lines = "".join(f"route get {question}\n" for question in questions)
    words = ["ip", f"-{version}", "-j", "-force", "-batch", "-"]
    done = subprocess.run(words, input=lines, capture_output=True, text=True, check=False)
    refused = {}
    for said, number in re.findall(r"RTNETLINK answers: (.*)\nCommand failed -:(\d+)", done.stderr):
        refused[int(number) - 1] = REFUSALS[said]
    given = iter([each for line in done.stdout.splitlines() if line.strip() for each in json.loads(line)])
    answers: list[dict[str, Any] | str] = [
        refused[place] if place in refused else next(given) for place in range(len(questions))
    ]
    assert next(given, None) is None, (
        f"{len(questions)} questions, {len(refused)} refusals, and more answers: {done.stderr[:500]}"
    )
    return answers
