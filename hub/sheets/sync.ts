import type { Clock } from "../base/clock.ts";
import { messageOf, ProviderError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { SHEET } from "../base/session.ts";
import type { Service } from "../base/service.ts";
import type { Stop } from "../base/stop-file.ts";
import type { AgreedRow, SheetChanges, Store } from "../stores/store.ts";
import { COLUMNS, knownHeaders, layoutOf } from "./columns.ts";
import { readControl } from "./control.ts";
import { viewHub, type HubView, type ViewedStore } from "./hub-view.ts";
import { mergeSheet, type MergeInput, type MergeResult } from "./merge.ts";
import { agentEdits, agentRows, logEdits, logRows, type AgentInfo } from "./reports.ts";
import { TAB_NAMES, type Sheet, type SheetReading, type TabContent, type TabEdits, type TabName } from "./sheet.ts";
import { historiesOf, rowKey, type Histories, type RowTab } from "./snapshots.ts";
import { formatTime } from "./zone.ts";

export type SyncedStore = ViewedStore & Pick<Store, "agreedRows" | "sheetRev" | "applySheet" | "note" | "lastSeq">;

export interface SheetSyncOptions {
  sheet: Sheet;
  store: SyncedStore;
  clock: Clock;
  log: Log;
  /** IANA name of the zone that times are shown in; empty for the host's. */
  zone: string;
  intervalMs: number;
  /** STOP was asked for in the Control tab. */
  onStop(by: string, why: string): void | Promise<void>;
  /** The STOP that is set now. */
  stopped(): Stop | undefined;
  /** The configured agents; none are listed but those that run when this is not given. */
  agents?(): AgentInfo[];
  /** How long a row must be missing before that is believed, in milliseconds. */
  missingMs?: number;
}

export interface SheetSync extends Service {
  /** One look: one reading and at most one write. Looks never overlap; errors are in `state`. */
  syncNow(): Promise<void>;
  /** Answers whether rows that are missing were meant to be taken out. */
  confirmRemoval(answer: "yes" | "no"): void;
  /** How the sheet and the hub stand to each other, in one sentence; `ok` is false when a person should look. */
  state(): { ok: boolean; words: string };
}

const MISSING_MS = 1_500;
const MERGES_A_LOOK = 6;
const WRITES_A_LOOK = 3;
const KEPT_REVISIONS = 20;
/** How soon a file is looked at again that looked half saved. */
const WAITING_MS = 500;
/** Uptimes go on although nothing happens. */
const REFRESH_MS = 60_000;

/** Keeps the sheet and the hub in step: what a person typed goes to the store, what the hub knows to the sheet. */
export function createSheetSync(options: SheetSyncOptions): SheetSync {
  const { sheet, store, clock, log, zone, intervalMs } = options;
  const missingMs = options.missingMs ?? MISSING_MS;
  let histories: Histories | undefined;
  let rev = 0;
  /** Snapshots that were seen in the file since they were last stored. */
  let seen: AgreedRow[] = [];
  const missingSince = new Map<string, number>();
  let answer: "yes" | "no" | undefined;
  let question = "";
  let obeyed = false;
  let lastKey = "";
  let lookAgain = true;
  let waiting = false;
  let refreshAt = 0;
  let told = new Set<string>();
  let state = { ok: true, words: "The sheet was not read yet." };
  let looking: Promise<void> = Promise.resolve();
  const ending = new AbortController();
  let wake: () => void = () => undefined;
  let ended: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    try {
      await cycle();
    } catch (error) {
      lookAgain = true;
      histories = undefined;
      state = { ok: false, words: error instanceof ProviderError ? error.message : "The sheet could not be synced." };
      log.warn({ err: messageOf(error) }, "sheet not synced");
    }
  }

  async function cycle(): Promise<void> {
    for (let attempt = 1; attempt <= WRITES_A_LOOK; attempt++) {
      const reading = await sheet.read();
      waiting = reading.waiting.length > 0;
      const key = JSON.stringify([reading.version, await store.lastSeq(), options.stopped() ?? null, reading.held]);
      if (key === lastKey && !lookAgain && clock.monotonic() < refreshAt) return;
      lookAgain = false;
      refreshAt = clock.monotonic() + REFRESH_MS;
      const done = await syncOnce(reading);
      lastKey = key;
      if (done) return;
    }
    lookAgain = true;
  }

  /** False when somebody saved meanwhile: read and merge again. */
  async function syncOnce(reading: SheetReading): Promise<boolean> {
    const problems = [...reading.notes];
    await loadAgreed();
    for (const { id, tab, content } of reading.earlier) {
      if (isRowTab(tab) && unusable(tab, content) === undefined)
        problems.push(...(await importAll({ [tab]: content }, true)).notes);
      if (tab === "Control") await obey(content);
      await sheet.settle([id]);
    }
    const tabs = usableTabs(reading, problems);
    const unread = Object.keys(tabs).length < TAB_NAMES.length ? (problems[0] ?? reading.waiting[0]?.why ?? "") : "";
    // Before anything else, and although the rest may fail.
    if (tabs.Control !== undefined) await obey(tabs.Control);
    const rowTabs: MergeInput["tabs"] = {};
    if (tabs.Projects !== undefined) rowTabs.Projects = tabs.Projects;
    if (tabs["Task Queue"] !== undefined) rowTabs["Task Queue"] = tabs["Task Queue"];
    const { result, view, notes } = await importAll(rowTabs, false);
    problems.push(...notes);
    question = questionOf(result);
    if (question !== "") problems.push(question);
    else answer = undefined;
    rememberMissing(result.missing);
    const outcome = await writeOut(reading, tabs, result, view, unread);
    await tell(problems);
    return outcome;
  }

  async function loadAgreed(): Promise<void> {
    if (histories !== undefined) return;
    histories = historiesOf(await store.agreedRows());
    rev = await store.sheetRev();
    seen = [];
  }

  /** Merges until there is nothing left that a person did; answers the last merge, which only writes. */
  async function importAll(
    tabs: MergeInput["tabs"],
    earlier: boolean,
  ): Promise<{ result: MergeResult; view: HubView; notes: string[] }> {
    const notes: string[] = [];
    for (let merges = 1; ; merges++) {
      const view = await viewHub(store, zone);
      const result = mergeSheet({
        tabs,
        histories: histories ?? new Map(),
        projects: view.projects,
        tasks: view.tasks,
        earlier,
        rev,
        zone,
        now: clock.now(),
        missingLong: (key) => earlier || clock.monotonic() - (missingSince.get(key) ?? Infinity) >= missingMs,
        answer: earlier ? undefined : answer,
      });
      remember(result.seen);
      seen.push(...result.seen);
      notes.push(...result.notes);
      if (!result.imports) return { result, view, notes };
      if (merges === MERGES_A_LOOK) throw new Error("the sheet's merge does not come to rest");
      await apply(result.changes);
    }
  }

  async function apply(changes: SheetChanges): Promise<void> {
    const ids = await store.applySheet({ ...changes, agreed: [...seen, ...changes.agreed] }, clock.now());
    seen = [];
    rev = changes.rev;
    const added = (tab: RowTab, entries: { key: string; agreed: AgreedRow["cells"] }[]) =>
      entries.map(({ key, agreed }) => ({ tab, id: ids.get(key) ?? 0, rev, cells: agreed, confirmed: false }));
    remember([...added("Projects", changes.addProjects), ...added("Task Queue", changes.addTasks), ...changes.agreed]);
  }

  function remember(rows: AgreedRow[]): void {
    for (const row of rows) {
      const key = rowKey(row.tab, row.id);
      const others = (histories?.get(key) ?? []).filter((each) => each.rev !== row.rev);
      const history = [...others, row].toSorted((a, b) => a.rev - b.rev).slice(-KEPT_REVISIONS);
      histories?.set(key, history);
    }
  }

  function rememberMissing(keys: string[]): void {
    const now = clock.monotonic();
    for (const key of missingSince.keys()) if (!keys.includes(key)) missingSince.delete(key);
    for (const key of keys) if (!missingSince.has(key)) missingSince.set(key, now);
    if (keys.length > 0) lookAgain = true;
  }

  async function writeOut(
    reading: SheetReading,
    tabs: Partial<Record<TabName, TabContent>>,
    result: MergeResult,
    view: HubView,
    unread: string,
  ): Promise<boolean> {
    const held = new Map(reading.held.map(({ tab, why }) => [tab, why]));
    const wanted = [...result.edits, ...reportEdits(tabs, view)];
    const edits = wanted.filter(({ tab }) => !held.has(tab));
    const postponed = [...new Set(wanted.flatMap(({ tab }) => held.get(tab) ?? []))];
    const planned = result.planned.filter(({ tab }) => !held.has(tab));
    if (planned.length > 0 || seen.length > 0) await keepSnapshots(planned);
    let words = postponed.length > 0 ? `postponed: ${postponed.join(", ")}` : unread;
    let done = true;
    if (edits.length > 0) {
      const written = await sheet.write(reading.version, edits);
      markWritten(written.tabs);
      if (seen.length > 0) await keepSnapshots([]);
      if (written.outcome === "held") words = `postponed: ${written.why}`;
      done = written.outcome !== "changed";
      // Also after a write that went well: an old file that is saved over it may be the very one that was read.
      lookAgain = true;
    }
    state =
      question !== ""
        ? { ok: false, words: question }
        : { ok: words === "", words: words || `In step with the sheet since ${formatTime(clock.now(), zone)}.` };
    return done;
  }

  function reportEdits(tabs: Partial<Record<TabName, TabContent>>, view: HubView): TabEdits[] {
    const edits: (TabEdits | undefined)[] = [];
    const { Control: control, "Agent Status": agents, "Activity Log": activity } = tabs;
    if (agents !== undefined)
      edits.push(agentEdits(agents, agentRows(options.agents?.() ?? [], view.live, clock.now())));
    if (activity !== undefined) edits.push(logEdits(activity, logRows(view.events, view.names, zone)));
    if (control !== undefined) {
      const read = readControl({ content: control, stopped: options.stopped(), obeyed, question, zone });
      edits.push(read.edits);
      if (read.answer !== undefined) {
        answer = read.answer;
        lookAgain = true;
      }
    }
    return edits.filter((each) => each !== undefined);
  }

  async function keepSnapshots(planned: AgreedRow[]): Promise<void> {
    await apply({
      addProjects: [],
      addTasks: [],
      changeProjects: [],
      changeTasks: [],
      archiveProjects: [],
      cancelTasks: [],
      reopenTasks: [],
      agreed: planned,
      forget: [],
      rev: Math.max(rev, ...planned.map((row) => row.rev)),
    });
  }

  /** What was written is in the file: every row's newest snapshot of the tab is. */
  function markWritten(written: TabName[]): void {
    for (const history of histories?.values() ?? []) {
      const newest = history.at(-1);
      if (newest === undefined || newest.confirmed || !written.includes(newest.tab)) continue;
      const now = history.filter((row) => !row.confirmed).map((row) => ({ ...row, confirmed: true }));
      seen.push(...now);
      remember(now);
    }
  }

  async function obey(content: TabContent): Promise<void> {
    const read = readControl({ content, stopped: options.stopped(), obeyed, question: "", zone });
    if (read.stop) {
      await options.onStop("sheet", "Stop was set in the Control tab");
      obeyed = true;
      lookAgain = true;
    }
    const typed = readControl({ content, stopped: undefined, obeyed: false, question: "", zone });
    if (!typed.stop && options.stopped() === undefined) obeyed = false;
  }

  async function tell(problems: string[]): Promise<void> {
    const now = new Set(problems);
    for (const words of now)
      if (!told.has(words)) await store.note(SHEET, { kind: "sheet_problem", data: { words } }, clock.now());
    told = now;
  }

  async function run(): Promise<void> {
    const unwatch = sheet.watch(() => wake());
    try {
      while (!ending.signal.aborted) {
        const timer = new AbortController();
        const woken = new Promise<void>((resolve) => (wake = resolve));
        await syncNow();
        if (ending.signal.aborted) break;
        await Promise.race([woken, clock.sleep(waiting ? Math.min(WAITING_MS, intervalMs) : intervalMs, timer.signal)]);
        timer.abort();
      }
    } finally {
      unwatch();
    }
  }

  function syncNow(): Promise<void> {
    looking = looking.then(look);
    return looking;
  }

  return {
    id: "sheet",
    run() {
      ended = run();
      return ended;
    },
    async stop() {
      ending.abort();
      wake();
      await ended;
    },
    syncNow,
    confirmRemoval(given) {
      answer = given;
      lookAgain = true;
      wake();
    },
    state: () => state,
  };
}

function isRowTab(tab: TabName): tab is RowTab {
  return tab === "Projects" || tab === "Task Queue";
}

/** The tabs that have a header of ours; what is wrong with others goes to `problems`. */
function usableTabs(reading: SheetReading, problems: string[]): Partial<Record<TabName, TabContent>> {
  const tabs: Partial<Record<TabName, TabContent>> = {};
  for (const [name, content] of Object.entries(reading.tabs)) {
    const tab = name as TabName;
    const why = unusable(tab, content);
    if (why === undefined) tabs[tab] = content;
    else problems.push(why);
  }
  return tabs;
}

function unusable(tab: TabName, content: TabContent): string | undefined {
  if (content.header.every((cell) => cell.trim() === "")) {
    return content.rows.length === 0 ? undefined : `${tab} has rows but no header: put its header row back.`;
  }
  if (knownHeaders(tab, content.header) === 0)
    return `${tab} has no header row that is known (${COLUMNS[tab]
      .slice(0, 3)
      .map(({ name }) => name)
      .join(", ")}, …): put it back. Nothing is read from it or written to it.`;
  const { index } = layoutOf(tab, content);
  const needed = tab === "Projects" ? ["Project"] : tab === "Task Queue" ? ["Project", "Description"] : [];
  const missing = needed.filter((column) => !index.has(column));
  return missing.length === 0
    ? undefined
    : `${tab} has no column called ${missing.join(" and ")}: put it back. Nothing is read from it or written to it.`;
}

function questionOf({ needsYes }: MergeResult): string {
  if (needsYes.length === 0) return "";
  const lost = needsYes.map(({ tab, missing, of }) => `${tab} lost ${missing} of ${of} rows`).join(", ");
  return `${lost}: write yes under Confirm in the Control tab if you took them out, no to get them back.`;
}
