#!/bin/sh
# An agent in thirty lines of shell, with curl and jq: it claims one task, writes down what it
# was asked, and completes it. CTO_MCP_URL and CTO_TOKEN are in its environment.
set -eu

# call TOOL ARGUMENTS: prints what the tool answers, as JSON.
call() {
  body=$(jq -nc --arg name "$1" --argjson args "$2" \
    '{jsonrpc: "2.0", id: 1, method: "tools/call", params: {name: $name, arguments: $args}}')
  curl -sS --fail-with-body "$CTO_MCP_URL" \
    -H "Authorization: Bearer $CTO_TOKEN" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d "$body" |
    sed -n 's/^data: //; /^{/p' |
    jq -ce 'if .result.isError or .error then error(tojson) else .result.structuredContent end'
}

claimed=$(call claim_next_task '{}')
# printf, since echo of some shells turns \n into a line break.
field() { printf '%s' "$claimed" | jq -r ".$1"; }
if [ "$(field status)" != task ]; then
  field say
  exit 0
fi
# with JSON: the task and its fence, which every call about it carries, and more.
with() { printf '%s' "$claimed" | jq -c "{task, fence} + $1"; }

cd "$(field workspace)"
call report_progress "$(with '{progress: "Writing the notes"}')" >/dev/null
# What people wrote comes between two lines that mark it as data: only the text itself is kept.
field description | sed '/^<<<DATA /d; /^<<<END /d' >>NOTES.md

call complete_task "$(with '{summary: "Wrote NOTES.md", output: "NOTES.md"}')" | jq -r .say
