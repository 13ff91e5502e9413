/**
 * The sheet: where a person keeps projects and tasks. One adapter per kind of sheet.
 *
 * An adapter moves text; it knows nothing of what the cells mean. Errors are
 * `ProviderError` (look again later) with words for the person.
 */
export interface Sheet {
  /**
   * Everything there is now. Cheap when nothing changed since the last reading: the same
   * `version` says so.
   */
  read(): Promise<SheetReading>;

  /**
   * Applies `edits` to the sheet as it was when `version` was read, tab by tab, each tab whole
   * or not at all. Never replaces anything that was saved after that reading.
   */
  write(version: string, edits: TabEdits[]): Promise<WriteResult>;

  /** Calls `onChange` soon after somebody saved. Returns the way to stop; may call for our own writes too. */
  watch(onChange: () => void): () => void;

  /** What `earlier` of a reading brought has been taken over: it need not be brought again. */
  settle(ids: string[]): Promise<void>;
}

export const TAB_NAMES = ["Projects", "Task Queue", "Agent Status", "Activity Log", "Control"] as const;
export type TabName = (typeof TAB_NAMES)[number];

/** Text cells as they stand in the sheet; rows may be shorter or longer than the header. */
export interface TabContent {
  /** Empty when the tab is missing or has nothing in it. */
  header: string[];
  rows: string[][];
}

export interface SheetReading {
  /** Changes whenever anything in the sheet does. */
  version: string;
  /** The tabs that could be read; one that is missing is there as an empty tab. */
  tabs: Partial<Record<TabName, TabContent>>;
  /** Tabs that nothing may be written to now, and why ("LibreOffice has Projects.csv open"). */
  held: { tab: TabName; why: string }[];
  /** Tabs that look half saved and are not in `tabs` until they have been left alone for long enough. */
  waiting: { tab: TabName; why: string }[];
  /** What else a person should know: tabs that cannot be read, an unusual encoding. */
  notes: string[];
  /** Saves that a newer file took the place of before they were read, oldest first. */
  earlier: { id: string; tab: TabName; content: TabContent }[];
}

/** Changes to one tab; rows and columns are counted from 0 in the reading, the header not counted. */
export interface TabEdits {
  tab: TabName;
  /** The new header when columns are added: the old one with more at its right. */
  header?: string[];
  cells: { row: number; column: number; text: string }[];
  append: string[][];
  /** Rows to take out; only ever rows that the hub wrote. */
  remove: number[];
}

export interface WriteResult {
  /**
   * `written`: all of it. `changed`: somebody saved since the reading, so read and merge again.
   * `held`: an editor has it open; try again later.
   */
  outcome: "written" | "changed" | "held";
  /** The tabs that were written, also when others were not. */
  tabs: TabName[];
  /** One sentence when something was not written; empty otherwise. */
  why: string;
}
