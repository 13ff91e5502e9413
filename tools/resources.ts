import { renderContinuation } from "../hub/base/continuation-text.ts";
import { parseTaskName, SLUG_PATTERN, taskName } from "../hub/base/ids.ts";
import type { Project } from "../hub/base/project.ts";
import { fenced, oneLine } from "./fenced.ts";
import { mayUse } from "./named.ts";
import type { ToolContext } from "./tool.ts";
import { workingSession } from "./working-session.ts";
import { whatsNext } from "./whats-next.ts";

/** Longer addresses are refused before anything looks at them. */
export const MAX_URI = 200;
const MAX_TEXT = 20_000;

/** Resources with a fixed address. */
export const RESOURCES = [
  {
    uri: "cto://status",
    name: "status",
    title: "Status",
    description: "What runs, what waits and why, and what comes next",
    mimeType: "text/plain",
  },
] as const;

/** Resources with an id in their address. */
export const RESOURCE_TEMPLATES = [
  {
    uriTemplate: "cto://projects/{slug}/continuation",
    name: "continuation",
    title: "Continuation of a project",
    description: "Where a project stands, as the last session left it",
    mimeType: "text/plain",
  },
  {
    uriTemplate: "cto://tasks/{id}",
    name: "task",
    title: "Task",
    description: "One task in full, by its name such as T12",
    mimeType: "text/plain",
  },
] as const;

/** The text of the resource at `uri`; undefined when there is none, or none that the caller may see. */
export async function readResource(uri: string, ctx: ToolContext): Promise<string | undefined> {
  if (uri.length > MAX_URI) return undefined;
  if (uri === "cto://status") return (await whatsNext.handle({}, ctx)).text;
  const slug = /^cto:\/\/projects\/([^/]+)\/continuation$/.exec(uri)?.[1];
  if (slug !== undefined) return SLUG_PATTERN.test(slug) ? continuation(slug, ctx) : undefined;
  const name = /^cto:\/\/tasks\/([^/]+)$/.exec(uri)?.[1];
  const id = name === undefined ? undefined : parseTaskName(name);
  return id === undefined ? undefined : task(id, ctx);
}

async function continuation(slug: string, ctx: ToolContext): Promise<string | undefined> {
  const project = await ctx.store.findProject(slug);
  if (project === undefined || project.slug !== slug || !(await maySee(ctx, project.id))) return undefined;
  const left = await ctx.store.latestContinuation(project.id);
  const heading = `Continuation of project ${project.slug}`;
  return left === undefined
    ? `${heading}: none has been written yet.`
    : `${heading}\n${fenced("continuation that an earlier session left", renderContinuation(project.name, left), MAX_TEXT)}`;
}

async function task(id: number, ctx: ToolContext): Promise<string | undefined> {
  const found = await ctx.store.task(id);
  if (found === undefined || !(await maySee(ctx, found.projectId))) return undefined;
  const name = taskName(id);
  const project = await ctx.store.project(found.projectId);
  return [
    `${name} of project ${nameOf(project)}: ${found.state}`,
    `Type ${found.type}, complexity ${found.complexity}, failures ${found.failures}, rounds of findings ${found.rounds}`,
    ...(found.why === "" ? [] : [`Why: ${JSON.stringify(oneLine(found.why, 300))}`]),
    ...(found.integratedCommit === null ? [] : [`Commit: ${found.integratedCommit}`]),
    fenced(`the person's description of ${name}`, found.description, MAX_TEXT),
    ...(found.progress === ""
      ? []
      : [fenced(`progress of ${name}, as its session reported it`, found.progress, 2_000)]),
    ...(found.summary === null ? [] : [fenced(`summary of ${name}, as its session wrote it`, found.summary, 4_000)]),
    ...(found.findings === null ? [] : [fenced(`findings of the last check of ${name}`, found.findings, 8_000)]),
  ].join("\n");
}

function nameOf(project: Project | undefined): string {
  return JSON.stringify(oneLine(project?.name ?? "", 80));
}

/** An agent sees its own project, the person all that the token is for. */
async function maySee(ctx: ToolContext, projectId: number): Promise<boolean> {
  if (!mayUse(ctx, projectId)) return false;
  if (ctx.principal.role !== "agent") return true;
  const session = await workingSession(ctx);
  if (session === undefined) return false;
  if (session.projectId !== null) return session.projectId === projectId;
  const held = session.taskId === null ? undefined : await ctx.store.task(session.taskId);
  return held?.projectId === projectId;
}
