import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { commandAgent } from "../../supervisor/agents/command.ts";

const LAUNCH = {
  sessionId: "s-1",
  command: "/opt/agent",
  args: ["--verbose", "${CTO_TOKEN}", "$(id)"],
  env: { MINE: "yes", CTO_TOKEN: "configured" },
  model: "",
  mcpUrl: "http://127.0.0.1:5000/mcp",
  token: "secret-token",
  workspace: "/home/w/T1",
  runFolder: "/home/runs/s-1",
};

suite("command agent", () => {
  test("is told everything by its environment, the token never by an argument or a file", () => {
    const command = commandAgent.launch(LAUNCH);
    assert.deepEqual(command, {
      argv: ["/opt/agent", "--verbose", "${CTO_TOKEN}", "$(id)"],
      env: {
        MINE: "yes",
        CTO_MCP_URL: "http://127.0.0.1:5000/mcp",
        CTO_TOKEN: "secret-token",
        CTO_SESSION_ID: "s-1",
        CTO_WORKSPACE: "/home/w/T1",
        CTO_MCP_CONFIG: "/home/runs/s-1/mcp.json",
      },
      files: [
        {
          path: "/home/runs/s-1/mcp.json",
          mode: 0o600,
          data: `{
  "mcpServers": {
    "cto": {
      "type": "http",
      "url": "http://127.0.0.1:5000/mcp",
      "headers": {
        "Authorization": "Bearer \${CTO_TOKEN}"
      }
    }
  }
}
`,
        },
      ],
    });
  });

  /** The texts of `output`, given in pieces of `size` bytes. */
  const texts = (output: string | Uint8Array, size = Infinity) => {
    const bytes = Buffer.from(output);
    const parser = commandAgent.createParser();
    const events = [];
    for (let at = 0; at < bytes.length; at += size) events.push(...parser.push(bytes.subarray(at, at + size)));
    events.push(...(parser.end?.() ?? []));
    return events.map((event) => (event.kind === "text" ? event.text : event.kind));
  };

  test("each line is a text event, however the output is cut", () => {
    const output = "first\nzweite ü 👍 語\r\n\n  \nlast without an end";
    for (const size of [1, 2, 3, 7, Infinity]) {
      assert.deepEqual(texts(output, size), ["first", "zweite ü 👍 語", "last without an end"]);
    }
  });

  test("takes text as well as bytes, and tells a line when it is whole", () => {
    const parser = commandAgent.createParser();
    assert.deepEqual(parser.push("ha"), []);
    assert.deepEqual(parser.push("lf\nnext"), [{ kind: "text", text: "half" }]);
    assert.deepEqual(parser.end?.(), [{ kind: "text", text: "next" }]);
    assert.deepEqual(parser.end?.(), []);
  });

  test("law 13: text from outside is data: escapes, controls and turned text are taken out", () => {
    const cases: [string, string][] = [
      ["\u001b[1;31mred\u001b[0m", "red"],
      ["\u001b]0;title\u0007after", "after"],
      ["\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\", "link"],
      ["\u001bPdevice\u001b\\x", "x"],
      ["\u009b31mred", "red"],
      ["\u001b(Bplain\u001b=", "plain"],
      ["a\u0000b\u0007c\u0008d\u007fe\u0085f", "abcdef"],
      ["tab\tstays", "tab\tstays"],
      ["\u202eevil\u2066", "evil"],
      ["10%\r50%\r100%\r", "100%"],
      ["\u001b[2J\u001b[H", ""],
      ["cut \u001b[3", "cut"],
      ["\u001b]0;never ended", ""],
    ];
    for (const [raw, clean] of cases)
      assert.deepEqual(texts(`${raw}\n`), clean === "" ? [] : [clean], JSON.stringify(raw));
  });

  test("bytes that are no UTF-8 do no harm", () => {
    assert.deepEqual(texts(Buffer.from([0x61, 0xff, 0xc3, 0x0a, 0xe2, 0x82])), ["a\ufffd\ufffd", "\ufffd"]);
  });

  test("law 14: everything is bounded: a line without an end is cut", () => {
    const parser = commandAgent.createParser();
    for (let n = 0; n < 1_000; n += 1) assert.deepEqual(parser.push("x".repeat(1_000)), []);
    assert.deepEqual(parser.push("\nnext\n"), [
      { kind: "text", text: "x".repeat(4_000) },
      { kind: "text", text: "next" },
    ]);
    const pairs = texts("👍".repeat(20_000));
    assert.equal(pairs[0]?.length, 4_000);
    assert.ok(texts(`x${"👍".repeat(20_000)}`)[0]?.isWellFormed());
  });
});
