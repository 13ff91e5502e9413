import { html } from "hono/html";
import type { Project } from "../../hub/base/project.ts";
import type { Page, View } from "../page.ts";
import { empty, pager, projectLink, timeline } from "./parts.ts";

const EVENTS_SHOWN = 100;

/** What happened, newest first; of one project where one is given. */
export async function activityPage(
  view: View,
  project: Project | undefined,
  before: number | undefined,
): Promise<Page> {
  const [events, projects] = await Promise.all([
    view.store.recentEvents({
      limit: EVENTS_SHOWN + 1,
      ...(project === undefined ? {} : { projectId: project.id }),
      ...(before === undefined ? {} : { beforeSeq: before }),
    }),
    view.store.projects(),
  ]);
  const shown = events.slice(0, EVENTS_SHOWN);
  const byId = new Map(projects.map((each) => [each.id, each]));
  const path = project === undefined ? "/activity?" : `/activity?project=${project.slug}&`;
  return {
    title: "Activity",
    heading: "Activity",
    section: "activity",
    follows: before === undefined,
    live: html`
      ${project === undefined ? "" : html`<p>Of ${projectLink(project)}. <a href="/activity">See everything</a>.</p>`}
      ${
        shown.length === 0
          ? empty("Nothing has happened yet. What agents, the sheet and you do appears here.")
          : await timeline(view, shown, byId)
      }
      ${pager({
        ...(before === undefined ? {} : { newest: path.slice(0, -1) }),
        ...(events.length > EVENTS_SHOWN ? { older: `${path}before=${shown.at(-1)?.seq ?? 1}` } : {}),
      })}
    `,
  };
}
