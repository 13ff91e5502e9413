import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { homeAt } from "../../hub/base/home.ts";
import { createNativeMachine, endLeftCommands } from "../../supervisor/machines/native.ts";
import { createWorkspaces } from "../../supervisor/workspaces/create-workspaces.ts";
import { projectOf, taskOf } from "./fixture.ts";

// Takes task `id` through all its steps, as a hub does that may have been killed in the middle of
// any of them. The next task is opened before this one lands, so that each has something to merge.
const [root = "", repo = "", number = "", files = ""] = process.argv.slice(2);
const home = homeAt(root);
await endLeftCommands(home);
const machine = createNativeMachine(home);
const workspaces = createWorkspaces(home, { staleLockMs: 100 });
const project = projectOf(repo);
const task = taskOf(Number(number));
const place = { machine, name: await machine.ensure(project.slug) };

const refreshed = await workspaces.refresh(project);
if (!refreshed.ok) throw new Error(refreshed.why);
const { path } = await workspaces.open(place, project, task, "# Continuation\n");
await workspaces.open(place, project, taskOf(task.id + 1), "");
await mkdir(join(path, `t${task.id}`), { recursive: true });
for (let i = 0; i < Number(files); i++)
  await writeFile(join(path, `t${task.id}`, `f${i}.txt`), `${task.id} ${i}\n`.repeat(500));

const { head } = await workspaces.collect(place, project, task);
const updated = await workspaces.bringUpToDate(place, project, task, head);
if ("conflicts" in updated) throw new Error(`conflicts: ${updated.conflicts.join(", ")}`);
const different = await workspaces.verify(place, project, task, updated.head);
if (different.length > 0) throw new Error(different.join(", "));
if ((await workspaces.integrate(project, task, updated.head)) === "moved") throw new Error("moved");
