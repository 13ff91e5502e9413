import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  ProtocolError,
  type CallToolResult,
  type ClientCapabilities,
  type GetPromptResult,
  type InputRequests,
  type InputRequiredResult,
  type PromptMessage,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Mcp, McpExtension } from "../../hub/mcp.ts";

/**
 * The tools, prompts and resources that the conformance suite calls by name. They exist in tests
 * only: nothing of the product imports this file.
 */
export function conformanceFixtures(notify: () => Mcp["notify"]): McpExtension {
  const state = createRequestStateCodec<{ round: number }>({ key: randomBytes(32) });
  return {
    options: { requestState: { verify: state.verify } },
    capabilities: { completions: {}, logging: {} },
    tools: [
      ...contentTools(),
      ...behaviourTools(notify),
      ...inputTools((round, ctx) => state.mint({ round }, ctx)),
      {
        definition: { name: "json_schema_2020_12_tool", description: "Keeps every keyword", inputSchema: FULL_SCHEMA },
        call: async () => text("ok"),
      },
    ],
    prompts: prompts(),
    resources: [
      { uri: "test://static-text", name: "static-text", mimeType: "text/plain" },
      { uri: "test://static-binary", name: "static-binary", mimeType: "image/png" },
      { uri: "test://watched-resource", name: "watched-resource", mimeType: "text/plain" },
    ],
    templates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }],
    read: async (uri) => {
      const contents = contentsOf(uri);
      return contents === undefined ? undefined : { contents: [contents] };
    },
    complete: async ({ argument }) => ({ completion: { values: [`${argument.value}1`], total: 1, hasMore: false } }),
  };
}

type Tool = McpExtension["tools"][number];
type Call = Tool["call"];

/** The smallest PNG and WAV there are. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const NO_ARGUMENTS = { type: "object" as const, properties: {} };

const FULL_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object" as const,
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

function tool(name: string, call: Call, properties: Record<string, { type: string }> = {}): Tool {
  const inputSchema = { ...NO_ARGUMENTS, properties, required: Object.keys(properties) };
  return { definition: { name, description: `Fixture ${name}`, inputSchema }, call };
}

function text(words: string): CallToolResult {
  return { content: [{ type: "text", text: words }] };
}

function embedded(uri: string, mimeType: string, words: string) {
  return { type: "resource" as const, resource: { uri, mimeType, text: words } };
}

function contentTools(): Tool[] {
  const image = { type: "image" as const, data: PNG, mimeType: "image/png" };
  const mixed = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}');
  return [
    tool("test_simple_text", async () => text("This is a simple text response for testing.")),
    tool("test_image_content", async () => ({ content: [image] })),
    tool("test_audio_content", async () => ({ content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }] })),
    tool("test_embedded_resource", async () => ({
      content: [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
    })),
    tool("test_multiple_content_types", async () => ({
      content: [{ type: "text", text: "Multiple content types test:" }, image, mixed],
    })),
    tool("test_error_handling", async () => ({
      ...text("This tool intentionally returns an error for testing"),
      isError: true,
    })),
  ];
}

function behaviourTools(notify: () => Mcp["notify"]): Tool[] {
  return [
    tool("test_tool_with_progress", async (_args, ctx) => {
      const progressToken = ctx.mcpReq._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined)
          await ctx.mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress, total: 100 },
          });
        await sleep(50);
      }
      return text("Progress was reported");
    }),
    tool("test_tool_with_logging", async (_args, ctx) => {
      for (const words of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
        await ctx.mcpReq.log("info", words);
        await sleep(50);
      }
      return text("Logged");
    }),
    tool("test_logging_tool", async (_args, ctx) => {
      await ctx.mcpReq.log("info", "a line that nobody asked for");
      return text("Logged");
    }),
    tool("test_trigger_tool_change", async () => {
      notify().toolsChanged();
      return text("Told");
    }),
    tool("test_trigger_prompt_change", async () => {
      notify().promptsChanged();
      return text("Told");
    }),
    tool("test_missing_capability", async () =>
      inputRequired({ inputRequests: { question: sampling("Anything", 10) } }),
    ),
    tool("test_streaming_elicitation", asking("answer", elicitation("Which?", "answer"))),
    // These need a connection that the server can ask back on, which a stateless one is not.
    tool("test_sampling", refusesToAskBack, { prompt: { type: "string" } }),
    tool("test_elicitation", refusesToAskBack, { message: { type: "string" } }),
    tool("test_elicitation_sep1034_defaults", refusesToAskBack),
    tool("test_elicitation_sep1330_enums", refusesToAskBack),
  ];
}

const refusesToAskBack: Call = async () => ({ ...text("The client cannot be asked here"), isError: true });

function elicitation(
  message: string,
  field: string,
  kind: { type: "string" } | { type: "boolean" } = { type: "string" },
) {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [field]: kind }, required: [field] },
  });
}

function sampling(words: string, maxTokens: number) {
  return inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: words } }],
    maxTokens,
  });
}

/** Asks until the answer is there, then says it. */
function asking(key: string, request: InputRequests[string]): Call {
  return async (_args, ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, key);
    if (answer.kind === "missing" || !isWhole(answer)) return inputRequired({ inputRequests: { [key]: request } });
    return text(`Answered: ${JSON.stringify(answer)}`);
  };
}

function isWhole(answer: ReturnType<typeof inputResponse>): boolean {
  return answer.kind !== "elicit" || (answer.action === "accept" && answer.content !== undefined);
}

type Mint = (round: number, ctx: ServerContext) => Promise<string>;

function inputTools(mint: Mint): Tool[] {
  const name = elicitation("What is your name?", "name");
  return [
    tool("test_input_required_result_elicitation", async (_args, ctx) => {
      const given = acceptedContent(ctx.mcpReq.inputResponses, "user_name")?.["name"];
      return typeof given === "string"
        ? text(`Hello, ${given}!`)
        : inputRequired({ inputRequests: { user_name: name } });
    }),
    tool(
      "test_input_required_result_sampling",
      asking("capital_question", sampling("What is the capital of France?", 100)),
    ),
    tool("test_input_required_result_list_roots", asking("client_roots", inputRequired.listRoots())),
    tool(
      "test_input_required_result_request_state",
      withState(mint, { confirm: elicitation("Please confirm", "ok", { type: "boolean" }) }),
    ),
    tool(
      "test_input_required_result_tampered_state",
      withState(mint, { confirm: elicitation("Please confirm", "ok", { type: "boolean" }) }),
    ),
    tool(
      "test_input_required_result_multiple_inputs",
      withState(mint, {
        user_name: name,
        greeting: sampling("Generate a greeting", 50),
        client_roots: inputRequired.listRoots(),
      }),
    ),
    tool("test_input_required_result_multi_round", async (_args, ctx) => {
      const round = ctx.mcpReq.requestState<{ round: number }>()?.round ?? 0;
      if (round === 0) return asked({ step1: elicitation("Step 1: What is your name?", "name") }, 1, mint, ctx);
      if (round === 1)
        return asked({ step2: elicitation("Step 2: What is your favorite color?", "color") }, 2, mint, ctx);
      return text("Both steps are done");
    }),
    tool("test_input_required_result_capabilities", async (_args, ctx) => {
      const can =
        (ctx.mcpReq.envelope as Record<string, ClientCapabilities> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
      return inputRequired({
        inputRequests: {
          ...(can.elicitation !== undefined && { name }),
          ...(can.sampling !== undefined && { question: sampling("Anything", 10) }),
        },
      });
    }),
  ];
}

async function asked(
  inputRequests: InputRequests,
  round: number,
  mint: Mint,
  ctx: ServerContext,
): Promise<InputRequiredResult> {
  return inputRequired({ inputRequests, requestState: await mint(round, ctx) });
}

function withState(mint: Mint, requests: InputRequests): Call {
  return async (_args, ctx) => {
    const all = Object.keys(requests).every((key) => inputResponse(ctx.mcpReq.inputResponses, key).kind !== "missing");
    const isOurs = ctx.mcpReq.requestState<{ round: number }>()?.round === 1;
    return all && isOurs ? text("state-ok") : asked(requests, 1, mint, ctx);
  };
}

function prompts(): McpExtension["prompts"] {
  const says = (words: string): PromptMessage => ({ role: "user", content: { type: "text", text: words } });
  const prompt = (
    name: string,
    names: string[],
    messages: (args: Record<string, string>) => PromptMessage[],
  ): McpExtension["prompts"][number] => ({
    definition: {
      name,
      description: `Fixture ${name}`,
      arguments: names.map((each) => ({ name: each, required: true })),
    },
    async get(given) {
      const args = (given ?? {}) as Record<string, string>;
      const missing = names.find((each) => args[each] === undefined);
      if (missing !== undefined) throw new ProtocolError(-32_602, `The argument ${missing} is missing`);
      return { messages: messages(args) };
    },
  });
  return [
    prompt("test_simple_prompt", [], () => [says("This is a simple prompt for testing.")]),
    prompt("test_prompt_with_arguments", ["arg1", "arg2"], (args) => [
      says(`Prompt with arguments: arg1='${args["arg1"]}', arg2='${args["arg2"]}'`),
    ]),
    prompt("test_prompt_with_embedded_resource", ["resourceUri"], (args) => [
      {
        role: "user",
        content: embedded(args["resourceUri"] ?? "", "text/plain", "Embedded resource content for testing."),
      },
      says("Please process the embedded resource above."),
    ]),
    prompt("test_prompt_with_image", [], () => [
      { role: "user", content: { type: "image", data: PNG, mimeType: "image/png" } },
      says("Please analyze the image above."),
    ]),
    {
      definition: { name: "test_input_required_result_prompt", description: "Fixture that asks back" },
      async get(_args, ctx): Promise<GetPromptResult | InputRequiredResult> {
        const context = acceptedContent(ctx.mcpReq.inputResponses, "user_context")?.["context"];
        if (typeof context === "string") return { messages: [says(`Use this context: ${context}`)] };
        return inputRequired({
          inputRequests: { user_context: elicitation("What context should the prompt use?", "context") },
        });
      },
    },
  ];
}

function contentsOf(uri: string) {
  if (uri === "test://static-text")
    return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." };
  if (uri === "test://static-binary") return { uri, mimeType: "image/png", blob: PNG };
  if (uri === "test://watched-resource") return { uri, mimeType: "text/plain", text: "Watched" };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { uri, mimeType: "application/json", text: JSON.stringify(data) };
}
