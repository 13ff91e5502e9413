import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, watch as watchFolder, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { systemClock, type Clock } from "../base/clock.ts";
import { messageOf, ProviderError } from "../base/errors.ts";
import { sha256 } from "../base/ids.ts";
import { safeCell } from "./cells.ts";
import { freshHeader } from "./columns.ts";
import { emptyCsv, newCsv, patchCsv, readCsv, type CsvText } from "./csv-text.ts";
import { editorOf } from "./editors.ts";
import { halfSaved, isOpenForWriting } from "./half-saved.ts";
import {
  hashOf,
  isCode,
  MISSING,
  putBack,
  replacementOf,
  replaceFile,
  signatureOf,
  type ReplaceOptions,
} from "./replace.ts";
import { TAB_NAMES, type Sheet, type SheetReading, type TabEdits, type TabName, type WriteResult } from "./sheet.ts";

export interface CsvSheetOptions {
  clock?: Clock;
  /** How long a file must have been left alone before it is read, in milliseconds: nobody saves in one instant. */
  quietMs?: number;
  /** How long a file that lost rows, or the end of its last line, is left alone: its save may be going on. */
  partMs?: number;
  /** How long a file that is empty, or gone, is left alone before its rows are put back. */
  emptyMs?: number;
  /** How long a replaced file is kept and watched, in milliseconds. */
  asideMs?: number;
  replace?: ReplaceOptions;
}

const QUIET_MS = 250;
const QUIET_LIMIT_MS = 5_000;
const PART_MS = 3_000;
const EMPTY_MS = 10_000;
const ASIDE_MS = 10_000;
/** Who emptied a file is about to write to it, however slowly. */
const EMPTY_ASIDE_MS = 600_000;
const EMPTY_HASH = sha256(Buffer.alloc(0));
const WATCH_DEBOUNCE_MS = 100;

/** What is known of a tab's file. */
interface KnownFile {
  signature: string;
  hash: string | undefined;
  text: CsvText | { why: string };
  /** It looks half saved, so it is neither believed nor written over yet. */
  waits?: string;
}

/** A replaced file that an editor may still write to. */
interface Aside {
  expected: string;
  /** Monotonic time since which it is watched. */
  since: number;
  signature: string;
}

interface Earlier {
  path: string;
  tab: TabName;
  hash: string;
  text: CsvText;
}

/** A sheet of CSV files in `folder`, one a tab: `Projects.csv`, `Task Queue.csv` and so on. */
export function createCsvSheet(folder: string, options: CsvSheetOptions = {}): Sheet {
  const { clock = systemClock, quietMs = QUIET_MS, asideMs = ASIDE_MS } = options;
  const limits = { partMs: options.partMs ?? PART_MS, emptyMs: options.emptyMs ?? EMPTY_MS };
  const files = new Map<TabName, KnownFile>();
  /** What was last believed of each tab, or written to it. */
  const believed = new Map<TabName, CsvText>();
  const stable = new Map<string, { signature: string; since: number }>();
  const asides = new Map<string, Aside>();
  const earlier = new Map<string, Earlier>();
  const inFlight = new Set<string>();
  let unsettled = false;
  let version = "";
  const pathOf = (tab: TabName) => join(folder, `${tab}.csv`);

  /** Whether the file has had this signature for `quietMs`. */
  function isQuiet(path: string, signature: string): boolean {
    const last = stable.get(path);
    if (last?.signature === signature) return clock.monotonic() - last.since >= quietMs;
    stable.set(path, { signature, since: clock.monotonic() });
    return quietMs === 0;
  }

  /** What a file looks like whose save may be going on; undefined when it can be believed. */
  function waitsFor(tab: TabName, path: string, text: CsvText): string | undefined {
    const half = halfSaved(tab, text, believed.get(tab), limits);
    if (half === undefined) return undefined;
    const since = stable.get(path)?.since ?? clock.monotonic();
    return clock.monotonic() - since < half.ms || isOpenForWriting(path) ? half.looks : undefined;
  }

  function take(tab: TabName, file: { signature: string; hash: string | undefined; text: CsvText }): void {
    const looks = waitsFor(tab, pathOf(tab), file.text);
    if (looks === undefined) believed.set(tab, file.text);
    files.set(tab, looks === undefined ? file : { ...file, waits: looks });
  }

  async function load(): Promise<void> {
    const start = clock.monotonic();
    for (;;) {
      const changed = TAB_NAMES.filter((tab) => {
        const file = files.get(tab);
        return file?.waits !== undefined || file?.signature !== signatureOf(pathOf(tab));
      });
      const busy = changed.filter((tab) => !isQuiet(pathOf(tab), signatureOf(pathOf(tab))));
      if (busy.length === 0) {
        if (changed.every((tab) => loadFile(tab))) return;
        continue;
      }
      if (clock.monotonic() - start > QUIET_LIMIT_MS)
        throw new ProviderError(`${busy[0]}.csv is being written all the time; it is read when that ends.`);
      await clock.sleep(Math.max(5, quietMs / 5));
    }
  }

  /** False when the file changed while it was read. */
  function loadFile(tab: TabName): boolean {
    const path = pathOf(tab);
    const signature = signatureOf(path);
    if (signature === MISSING) {
      const file = { signature, hash: undefined, text: emptyCsv() };
      // Who has never seen the file makes it; who has seen it gives its editor time to put the new one there.
      if (believed.has(tab)) take(tab, file);
      else files.set(tab, file);
      return true;
    }
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if (isCode(error, "ENOENT")) return false;
      files.set(tab, { signature, hash: signature, text: { why: `cannot be read: ${messageOf(error)}` } });
      return true;
    }
    if (signatureOf(path) !== signature) return false;
    const text = readCsv(tab, bytes);
    if ("why" in text) files.set(tab, { signature, hash: sha256(bytes), text });
    else take(tab, { signature, hash: sha256(bytes), text });
    return true;
  }

  /** Looks after what replacing left: ends what a crash interrupted, finds what was written into an old file. */
  function sweep(notes: string[]): void {
    earlier.clear();
    unsettled = false;
    const found = listFolder(folder).flatMap((name) => {
      const replacement = replacementOf(name);
      const tab = TAB_NAMES.find((each) => `${each}.csv` === replacement?.of);
      return replacement === undefined || tab === undefined ? [] : [{ path: join(folder, name), tab, ...replacement }];
    });
    for (const { path, kind } of found) if (kind === "new" && !inFlight.has(path)) rmSync(path, { force: true });
    const old = found
      .filter(({ kind }) => kind === "old")
      .map((each) => ({ ...each, signature: signatureOf(each.path) }))
      .toSorted((a, b) => Number(timeIn(b.signature) - timeIn(a.signature)));
    for (const { path, tab, signature, expected } of old) {
      const known = asides.get(path);
      // A crash between moving the old file aside and linking the new one in: the newest goes back.
      if (known === undefined && signatureOf(pathOf(tab)) === MISSING && putBack(path, pathOf(tab))) continue;
      lookAtAside({ path, tab, signature, expected: known?.expected ?? expected }, known, notes);
    }
  }

  function lookAtAside(
    { path, tab, signature, expected }: { path: string; tab: TabName; signature: string; expected: string },
    known: Aside | undefined,
    notes: string[],
  ): void {
    if (known?.signature === signature) {
      const keptMs = known.expected === EMPTY_HASH ? Math.max(asideMs, EMPTY_ASIDE_MS) : asideMs;
      if (clock.monotonic() - known.since < keptMs || isOpenForWriting(path)) return;
      asides.delete(path);
      stable.delete(path);
      rmSync(path, { force: true });
      return;
    }
    if (!isQuiet(path, signature)) {
      unsettled = true;
      return;
    }
    const bytes = readFileSync(path);
    if (signatureOf(path) !== signature) return;
    const hash = sha256(bytes);
    const text = readCsv(tab, bytes);
    const part = "content" in text && text.content.header.length > 0;
    if (part && !hash.startsWith(expected) && waitsFor(tab, path, text) !== undefined) {
      unsettled = true;
      return;
    }
    if (hash.startsWith(expected) || ("content" in text && text.content.header.length === 0)) {
      asides.set(path, { expected: hash, since: clock.monotonic(), signature });
    } else if ("content" in text) {
      earlier.set(`${basename(path)} ${hash}`, { path, tab, hash, text });
    } else {
      const kept = freeName(folder, `${tab} (saved meanwhile)`);
      renameSync(path, kept);
      asides.delete(path);
      notes.push(`What was saved to ${tab}.csv while it was replaced ${text.why}; it is kept as ${basename(kept)}.`);
    }
  }

  function readingNow(notes: string[]): SheetReading {
    const reading: SheetReading = { version: "", tabs: {}, held: [], waiting: [], notes, earlier: [] };
    const hashes: string[] = [];
    for (const tab of TAB_NAMES) {
      const file = files.get(tab);
      if (file === undefined) continue;
      hashes.push(`${tab} ${file.hash ?? MISSING}${file.waits === undefined ? "" : " waits"}`);
      const name = `${tab}.csv`;
      if (file.waits !== undefined) {
        const why = `${name} ${file.waits}, as if it were being saved: it is left alone until it has not changed for some seconds`;
        reading.waiting.push({ tab, why });
      } else if ("why" in file.text) notes.push(`${name} ${file.text.why}. Nothing is read from it or written to it.`);
      else {
        reading.tabs[tab] = file.text.content;
        if (file.text.note !== "") notes.push(`${name} ${file.text.note}.`);
      }
      const why = editorOf(pathOf(tab));
      if (why !== undefined) reading.held.push({ tab, why });
    }
    for (const [id, { tab, text }] of earlier) reading.earlier.unshift({ id, tab, content: text.content });
    hashes.push(...earlier.keys());
    version = sha256(hashes.join("\n"));
    reading.version = version;
    return reading;
  }

  async function writeTab(edits: TabEdits): Promise<{ outcome: WriteResult["outcome"]; why: string }> {
    const path = pathOf(edits.tab);
    const file = files.get(edits.tab);
    if (file === undefined || "why" in file.text || signatureOf(path) !== file.signature)
      return { outcome: "changed", why: `${edits.tab}.csv was saved meanwhile` };
    if (file.waits !== undefined) return { outcome: "held", why: `${edits.tab}.csv is being saved` };
    const editor = editorOf(path);
    if (editor !== undefined) return { outcome: "held", why: editor };
    mkdirSync(folder, { recursive: true });
    const bytes = patchCsv(file.text, edits);
    const replaced = await replaceFile(path, file.hash, bytes, { ...options.replace, inFlight });
    if (replaced.outcome === "changed") return { outcome: "changed", why: `${edits.tab}.csv was saved meanwhile` };
    if (replaced.aside !== undefined && file.hash !== undefined) {
      // The link count of the old file does not change any more, so its signature now is that of its content.
      const signature = signatureOf(replaced.aside);
      const same = hashOf(replaced.aside) === file.hash && signatureOf(replaced.aside) === signature;
      asides.set(replaced.aside, { expected: file.hash, since: clock.monotonic(), signature: same ? signature : "" });
    }
    const signature = signatureOf(path);
    const text = readCsv(edits.tab, bytes);
    if (replaced.ours) files.set(edits.tab, { signature, hash: sha256(bytes), text });
    if (!("why" in text)) believed.set(edits.tab, text);
    return { outcome: "written", why: "" };
  }

  return {
    async read() {
      const notes: string[] = [];
      try {
        sweep(notes);
        await load();
        // What was not left alone long enough before is now: it is older than what was just read.
        if (unsettled) sweep(notes);
      } catch (error) {
        if (error instanceof ProviderError) throw error;
        throw new ProviderError(`The sheet's folder ${folder} cannot be read: ${messageOf(error)}`, { cause: error });
      }
      return readingNow(notes);
    },

    async write(expected, edits) {
      const result: WriteResult = { outcome: "written", tabs: [], why: "" };
      if (expected !== version) return { outcome: "changed", tabs: [], why: "the sheet was read again meanwhile" };
      for (const each of edits) {
        let written: Awaited<ReturnType<typeof writeTab>>;
        try {
          written = await writeTab(each);
        } catch (error) {
          throw new ProviderError(`${each.tab}.csv cannot be written: ${messageOf(error)}`, { cause: error });
        }
        if (written.outcome === "written") result.tabs.push(each.tab);
        else if (result.outcome !== "changed") Object.assign(result, written);
      }
      return result;
    },

    watch(onChange) {
      mkdirSync(folder, { recursive: true });
      let timer: NodeJS.Timeout | undefined;
      const watcher = watchFolder(folder, { persistent: false }, (_event, name) => {
        if (name !== null && replacementOf(name) !== undefined) return;
        clearTimeout(timer);
        timer = setTimeout(onChange, WATCH_DEBOUNCE_MS);
      });
      // Where the system cannot watch, the interval finds what changed.
      watcher.on("error", () => watcher.close());
      return () => {
        clearTimeout(timer);
        watcher.close();
      };
    },

    async settle(ids) {
      for (const id of ids) {
        const save = earlier.get(id);
        if (save === undefined) continue;
        earlier.delete(id);
        asides.set(save.path, { expected: save.hash, since: clock.monotonic(), signature: signatureOf(save.path) });
      }
    },
  };
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** The time of the last change in a signature. */
function timeIn(signature: string): bigint {
  return BigInt(signature.split("/")[2] ?? "0");
}

function freeName(folder: string, name: string): string {
  for (let n = 1; ; n++) {
    const path = join(folder, `${name}${n === 1 ? "" : ` ${n}`}.csv`);
    if (signatureOf(path) === MISSING) return path;
  }
}

/** Rows of a new sheet by tab; each row's cells by column name. */
export type SheetRows = Partial<Record<TabName, Record<string, string>[]>>;

/**
 * Makes the folder with all five tabs where there are none: headers, and the rows given.
 * A file that exists is left as it is. Answers the tabs that were made.
 */
export function createSheetFolder(folder: string, rows: SheetRows = {}): TabName[] {
  mkdirSync(folder, { recursive: true });
  return TAB_NAMES.filter((tab) => {
    const header = freshHeader(tab);
    const cells = (rows[tab] ?? []).map((row) => header.map((column) => safeCell(row[column] ?? "")));
    try {
      writeFileSync(join(folder, `${tab}.csv`), newCsv(tab, cells), { flag: "wx" });
      return true;
    } catch (error) {
      if (isCode(error, "EEXIST")) return false;
      throw error;
    }
  });
}
