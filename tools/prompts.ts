import { z } from "zod";
import { quoted } from "./fenced.ts";

/** A prompt that a person picks in the client, as `/mcp__cto__next`. */
export interface Prompt {
  name: string;
  title: string;
  description: string;
  /** Every argument is optional: the prompt is useful without any. */
  arguments: readonly { name: string; description: string; required: false }[];
  input: z.ZodType<Record<string, string | undefined>>;
  text(args: Record<string, string | undefined>): string;
}

const none = z.strictObject({});
const project = z.strictObject({ project: z.string().max(100).optional() });
const PROJECT = { name: "project", description: "Only this project", required: false } as const;

/** All prompts, in the order in which clients list them. */
export const PROMPTS: readonly Prompt[] = [
  {
    name: "next",
    title: "What's next",
    description: "What needs you, what runs, and what comes next",
    arguments: [],
    input: none,
    text: () =>
      "Call whats_next. Tell me in at most six lines what needs me first, what is running, and what comes next. " +
      "End with the one thing you would do now. Change nothing.",
  },
  {
    name: "standup",
    title: "Stand-up",
    description: "A short report on each project: done, under way, in the way",
    arguments: [PROJECT],
    input: project,
    text: (args) =>
      `Call whats_next and read the resource cto://status. Give me a stand-up${only(args)}: for each project one line on ` +
      "what was finished, one on what is under way, one on what is in the way. Leave out projects without news.",
  },
  {
    name: "resume",
    title: "Resume work",
    description: "Claim the next task and work on it here",
    arguments: [PROJECT],
    input: project,
    text: (args) =>
      `Call claim_next_task and work on the task that it hands you, following its rules${only(args)}. Report with ` +
      "report_progress after each step, and call complete_task when it is finished.",
  },
];

function only(args: Record<string, string | undefined>): string {
  const name = args["project"]?.trim() ?? "";
  return name === "" ? "" : ` (only for the project named ${quoted(name, 100)})`;
}
