import { fold } from "./cells.ts";
import type { Layout } from "./columns.ts";
import { othersOf, textIn, type SheetRow } from "./row.ts";
import { agreedCells, BACK, DELETED, OTHERS, type History } from "./snapshots.ts";

/** A row that is agreed on but that no row of the file shows by its Id. */
export interface Absent {
  id: number;
  history: History;
  /** The file is older than the row, or the row was never seen in it. */
  newborn: boolean;
  /** Its task or project may still be given another text without anybody noticing. */
  untouched: boolean;
}

export interface LinkRules {
  /** What must be the same for two rows to be one; undefined when there is too little to tell. */
  identity(text: (column: string) => string): string | undefined;
  /** A name that only one row has, such as a typed Task ID; empty when there is none. */
  name(text: (column: string) => string): string;
  /** Where the row belongs, and its words: rows of one place with similar words may be one. */
  place(text: (column: string) => string): { place: string; words: string };
  /** Whether a typed row's snapshot says that a person typed it (not that the hub added it). */
  typed(text: (column: string) => string): boolean;
  /** An absent row that was seen in a file as new as this one is linked by its name alone. */
  nameIsEnough: boolean;
}

/**
 * Which of the rows without Id are rows that we know: after a crash between the store's commit
 * and the sheet's write, when an old file is saved again, and when somebody emptied Id cells.
 * Each absent row is given to one row at most. Answers ids by row.
 */
export function linkRows(rows: SheetRow[], absent: Absent[], layout: Layout, rules: LinkRules): Map<SheetRow, number> {
  const links = new Map<SheetRow, number>();
  const free = new Map(absent.map((each) => [each.id, each]));
  const textOf = (row: SheetRow) => (column: string) => textIn(row, layout, column) ?? "";
  const take = (row: SheetRow, id: number | undefined): void => {
    if (id === undefined || !free.delete(id)) return;
    links.set(row, id);
  };
  const open = () => rows.filter((row) => !links.has(row));

  const byIdentity = new Map<string, number[]>();
  for (const each of absent) {
    if (!each.newborn) continue;
    for (const key of identitiesOf(each.history, rules)) append(byIdentity, key, each.id);
  }
  for (const row of open()) {
    const key = rules.identity(textOf(row));
    if (key === undefined) continue;
    take(
      row,
      byIdentity.get(key)?.find((id) => free.has(id)),
    );
  }

  const byName = new Map<string, number[]>();
  for (const each of free.values()) {
    const newest = each.history.at(-1)?.cells;
    const name = newest === undefined ? "" : fold(rules.name((column) => newest[column] ?? ""));
    if (name !== "" && (each.newborn || rules.nameIsEnough)) append(byName, name, each.id);
  }
  for (const row of open()) {
    const name = fold(rules.name(textOf(row)));
    const [only, second] = name === "" ? [] : (byName.get(name) ?? []).filter((id) => free.has(id));
    if (second === undefined) take(row, only);
  }

  // A row that was typed, taken over, and changed in a file that has never shown its Id.
  for (const row of open()) {
    if (row.copyOf !== undefined) continue;
    const here = rules.place(textOf(row));
    const others = othersOf(row, layout);
    const changed = [...free.values()].filter((each) => {
      const birth = each.history[0]?.cells;
      if (!each.newborn || birth === undefined || !rules.typed((column) => birth[column] ?? "")) return false;
      if (each.history.some((snapshot) => snapshot.cells[BACK] ?? snapshot.cells[DELETED])) return false;
      if (others !== (birth[OTHERS] ?? "")) return false;
      // Of two people who typed into old copies of the file, neither's row may become the other's.
      const surely = others !== "" || (each.untouched && each.history.every((snapshot) => !snapshot.confirmed));
      return each.history.some((snapshot) => {
        const there = rules.place((column) => snapshot.cells[column] ?? "");
        return here.place === there.place && (surely || similar(here.words, there.words));
      });
    });
    const nearest = changed.toSorted((a, b) => nearness(b, here.words, rules) - nearness(a, here.words, rules))[0];
    take(row, nearest?.id);
  }
  return links;
}

function identitiesOf(history: History, rules: LinkRules): Set<string> {
  const keys = new Set<string>();
  for (const snapshot of history) {
    const cells = agreedCells(snapshot.cells);
    const key = rules.identity((column) => cells[column] ?? "");
    if (key !== undefined) keys.add(key);
  }
  return keys;
}

function append(map: Map<string, number[]>, key: string, id: number): void {
  const ids = map.get(key);
  if (ids === undefined) map.set(key, [id]);
  else ids.push(id);
}

function nearness(each: Absent, words: string, rules: LinkRules): number {
  return Math.max(
    ...each.history.map((snapshot) => alike(words, rules.place((column) => snapshot.cells[column] ?? "").words)),
  );
}

function similar(a: string, b: string): boolean {
  return alike(a, b) >= 0.5;
}

/** How much of the longer text the common beginning and end make up, from 0 to 1. */
function alike(a: string, b: string): number {
  const longer = Math.max(a.length, b.length);
  const shorter = Math.min(a.length, b.length);
  if (longer === 0) return 1;
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return (start + end) / longer;
}
