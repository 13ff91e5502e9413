/**
 * A worker to be killed: claims, reports, completes, without end. Every answer that it got is
 * a line in its log before it goes on, so that the test can hold the hub to each of them.
 *
 * Arguments: url of `/mcp`, token, log file.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const [url = "", token = "", logFile = ""] = process.argv.slice(2);
const log = openSync(logFile, "a");
process.once("exit", () => closeSync(log));
const note = (line: Record<string, unknown>) => writeSync(log, `${JSON.stringify(line)}\n`);

interface Answer {
  isError: boolean;
  text: string;
  data: Record<string, unknown>;
}

let id = 0;
/** Calls until there is an answer: a hub that is being started again refuses connections for a moment. */
async function call(name: string, args: Record<string, unknown>): Promise<Answer> {
  for (;;) {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          authorization: `Bearer ${token}`,
          "mcp-protocol-version": "2026-07-28",
          "mcp-method": "tools/call",
          "mcp-name": name,
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: ++id,
          method: "tools/call",
          params: {
            name,
            arguments: args,
            _meta: {
              "io.modelcontextprotocol/protocolVersion": "2026-07-28",
              "io.modelcontextprotocol/clientCapabilities": {},
            },
          },
        }),
      });
      const body = (await response.json()) as {
        result?: { isError?: boolean; content: { text: string }[]; structuredContent?: Record<string, unknown> };
      };
      if (body.result !== undefined) {
        return {
          isError: body.result.isError === true,
          text: body.result.content[0]?.text ?? "",
          data: body.result.structuredContent ?? {},
        };
      }
    } catch {
      // The connection was refused or cut: the call may have taken effect, and is repeated.
    }
    await pause(20);
  }
}

for (;;) {
  const claim = await call("claim_next_task", {});
  if (claim.isError || claim.data["status"] !== "task") {
    await pause(20);
    continue;
  }
  const { task, fence } = claim.data as { task: string; fence: number };
  note({ kind: "claimed", task, fence });
  if (fence > 1) {
    const stale = await call("report_progress", { task, fence: fence - 1, progress: "stale" });
    note({ kind: "stale", task, fence: fence - 1, accepted: !stale.isError });
  }
  const report = await call("report_progress", { task, fence, progress: `by ${process.pid}` });
  if (!report.isError) note({ kind: "reported", task, fence });
  const complete = await call("complete_task", { task, fence, summary: "done" });
  note({ kind: complete.isError ? "refused" : "completed", task, fence });
}
