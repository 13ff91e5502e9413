#!/usr/bin/env python3
"""An agent with nothing but Python's own library: it claims one task, writes down what it was
asked, and completes it. CTO_MCP_URL and CTO_TOKEN are in its environment."""
import json
import os
import urllib.request


def call(tool, **arguments):
    """Calls a tool of the hub and answers its facts."""
    request = urllib.request.Request(
        os.environ["CTO_MCP_URL"],
        method="POST",
        headers={
            "Authorization": "Bearer " + os.environ["CTO_TOKEN"],
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        },
        data=json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        ).encode(),
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        # The answer is JSON, or one event of a stream that holds it.
        lines = response.read().decode().splitlines()
    text = next(line.removeprefix("data: ") for line in lines if line.startswith(("{", "data: {")))
    result = json.loads(text)["result"]
    if result.get("isError"):
        raise SystemExit(result["content"][0]["text"])
    return result["structuredContent"]


def unfenced(text):
    """The text itself: what people wrote comes between two lines that mark it as data."""
    return "\n".join(line for line in text.split("\n") if not line.startswith(("<<<DATA ", "<<<END ")))


claimed = call("claim_next_task")
if claimed["status"] != "task":
    raise SystemExit(print(claimed["say"]))
hold = {"task": claimed["task"], "fence": claimed["fence"]}

call("report_progress", progress="Writing the notes", **hold)
with open(os.path.join(claimed["workspace"], "NOTES.md"), "a") as notes:
    notes.write(unfenced(claimed["description"]) + "\n")

print(call("complete_task", summary="Wrote NOTES.md", output="NOTES.md", **hold)["say"])
