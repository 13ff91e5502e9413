import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../hub/config.ts";
import { scriptedConfig, type SmallHubOptions } from "../helpers/small-hub.ts";
import { claudeCode, claudeEnvironment } from "../helpers/claude-code.ts";
import {
  hubTool,
  startMessagesApi,
  type MessagesApi,
  type Model,
  type ModelReply,
  type ModelRequest,
} from "../helpers/messages-api.ts";
import { withWorld, type World } from "../supervisor/world.ts";

export interface ClaudeWorld extends World {
  api: MessagesApi;
}

export interface ClaudeOptions {
  credential?: "token" | "key" | "none";
  env?: Record<string, string>;
  agent?: Partial<Config["agents"][string]>;
  hub?: SmallHubOptions;
}

/** A small hub whose one agent, `claude`, is the real Claude Code; `model` takes the place of its model. */
export async function withClaude(
  model: Model,
  options: ClaudeOptions,
  tell: (world: ClaudeWorld) => Promise<void>,
): Promise<void> {
  const home = await realpath(await mkdtemp(join(tmpdir(), "cto-claude-")));
  const api = await startMessagesApi(model);
  const env = { ...claudeEnvironment(api.url, home, options.credential), CLAUDE_CODE_MAX_RETRIES: "1", ...options.env };
  const agents = { claude: await claudeAgent({ env, ...options.agent }) };
  try {
    await mkdir(join(home, ".claude"), { recursive: true });
    await withWorld({ ...options.hub, agents }, (world) => tell(Object.assign(world, { api })));
  } finally {
    await api.close();
    await rm(home, { recursive: true, force: true });
  }
}

/** The agent `claude` of a configuration. */
export async function claudeAgent(more: Partial<Config["agents"][string]>): Promise<Config["agents"][string]> {
  const base = scriptedConfig().agents["worker"];
  if (base === undefined) throw new Error("there is no agent to start from");
  return { ...base, cli: "claude-code", command: await claudeCode(), args: [], max_sessions: 2, ...more };
}

/** The task and fence that the conversation was handed last. */
export function handed({ text }: Pick<ModelRequest, "text">): { task: string; fence: number; workspace: string } {
  const task = [...text.matchAll(/"task":"(T\d+)"/g)].at(-1)?.[1] ?? "";
  const fence = Number([...text.matchAll(/(?:"fence":|with fence )(\d+)/g)].at(-1)?.[1]);
  const workspace = [...text.matchAll(/"workspace":"([^"]+)"/g)].at(-1)?.[1] ?? "";
  return { task, fence, workspace };
}

export function completes(request: ModelRequest): ModelReply {
  const { task, fence } = handed(request);
  return { calls: [hubTool("complete_task", { task, fence, summary: "Done as it was asked." })] };
}

export function writes(request: ModelRequest, name: string, content: string): ModelReply {
  return { calls: [{ name: "Write", input: { file_path: join(handed(request).workspace, name), content } }] };
}

/** A model that does one thing after the other, and then says that it is done. */
export function inOrder(...steps: ((request: ModelRequest) => ModelReply)[]): Model {
  return (request) => steps[request.turn]?.(request) ?? { say: "I am done." };
}

export const claims = (): ModelReply => ({ calls: [hubTool("claim_next_task")] });
