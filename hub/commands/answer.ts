import { parseQuestionName } from "../base/ids.ts";
import type { HubStatus, AnswerView } from "../api.ts";
import { readArguments, switchOption } from "./arguments.ts";
import { UsageError, type Command, type Io } from "./command.ts";
import { homeOf, needHub, type HubClient } from "./hub-client.ts";
import { plain, short } from "./words.ts";

type QuestionView = HubStatus["questions"][number];

export const command: Command = {
  name: "answer",
  summary: "answer a question; without one, list those that are open",
  usage: `Usage: cto answer [Q3 "text"] [--json]

Answers a question of an agent or of the hub: with one of the answers that it offers, or in your
own words. The task that asked goes on with it, first of its priority. Without arguments it
lists the open questions. A question is answered once; the same answer again is no harm.

  --json   print it as data

Example: cto answer Q3 "Use the June list"
`,
  async run(args, io) {
    const parsed = readArguments(args, { json: { type: "boolean" } }, 2);
    const json = switchOption(parsed, "json");
    const [name, text] = parsed.positionals;
    const hub = () => needHub(homeOf(io));
    if (name === undefined) return list(await hub(), json, io);
    const id = parseQuestionName(name);
    if (id === undefined) throw new UsageError(`"${short(name, 40)}" is no question: they are called Q1, Q2, ….`);
    if (text === undefined || text.trim() === "")
      throw new UsageError(`say what the answer is: cto answer ${name} "…".`);
    const answered = await (await hub()).post<AnswerView>(`/questions/${id}/answer`, { answer: text });
    io.stdout.write(json ? `${JSON.stringify(answered, null, 2)}\n` : told(answered));
    return 0;
  },
};

async function list(hub: HubClient, json: boolean, io: Io): Promise<number> {
  const { questions } = await hub.get<{ questions: QuestionView[] }>("/questions");
  if (json) io.stdout.write(`${JSON.stringify({ questions }, null, 2)}\n`);
  else io.stdout.write(questions.length === 0 ? "Nobody asks anything.\n" : questions.map(listed).join("\n"));
  return 0;
}

function listed(question: QuestionView): string {
  const about = [question.project, question.task ?? ""].filter((part) => part !== "").map((part) => short(part, 60));
  const lines = plain(question.text)
    .trim()
    .split("\n")
    .map((line) => `  ${line.replaceAll("\t", " ")}`);
  const offered = question.options.map((option) => `  - ${short(option, 200)}`);
  return `${[`${question.name}  ${about.join(", ")}`, ...lines, ...offered].join("\n")}\n`;
}

function told({ question, task }: AnswerView): string {
  const answer = `${question.name} is answered with "${short(question.answer ?? "", 200)}".`;
  return task === null ? `${answer}\n` : `${answer} ${task.id} is ${task.state}.\n`;
}
