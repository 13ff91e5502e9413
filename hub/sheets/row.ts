import { sha256 } from "../base/ids.ts";
import { cellText } from "./cells.ts";
import type { Layout } from "./columns.ts";
import type { TabContent } from "./sheet.ts";
import type { RowTab } from "./snapshots.ts";

/** One row of Projects or Task Queue as it stands in the sheet. */
export interface SheetRow {
  /** Its place, counted from 0. */
  at: number;
  raw: string[];
  id: number | undefined;
  rev: number | undefined;
  /** The Id that it shows although another row has it: it was copied from that one. */
  copyOf: number | undefined;
}

/** The rows of a tab that are not blank. A revision that the hub never wrote makes the Id a stranger's. */
export function rowsOf(tab: RowTab, content: TabContent, layout: Layout, highestRev: number): SheetRow[] {
  const idAt = layout.index.get("Id") ?? -1;
  const revAt = layout.index.get("Rev") ?? -1;
  const pattern = tab === "Projects" ? /^p([1-9]\d{0,14})$/i : /^t([1-9]\d{0,14})$/i;
  return content.rows.flatMap((raw, at) => {
    if (raw.every((cell) => cell === "" || cell.trim() === "")) return [];
    const id = pattern.exec((raw[idAt] ?? "").trim())?.[1];
    const revText = (raw[revAt] ?? "").trim();
    const rev = /^\d{1,15}$/.test(revText) ? Number(revText) : undefined;
    const foreign = rev !== undefined && rev > highestRev;
    return [
      {
        at,
        raw,
        id: id === undefined || foreign ? undefined : Number(id),
        rev: foreign || rev === 0 ? undefined : rev,
        copyOf: undefined,
      },
    ];
  });
}

/** The cell's text in `column`; undefined when the tab has no such column. */
export function textIn(row: SheetRow, layout: Layout, column: string): string | undefined {
  const at = layout.index.get(column);
  return at === undefined ? undefined : cellText(row.raw[at] ?? "");
}

/** What the row has in columns that are not ours, whatever their order; empty for nothing. */
export function othersOf(row: SheetRow, layout: Layout): string {
  const ours = new Set(layout.columns.map(({ at }) => at));
  const cells = row.raw.flatMap((cell, at) => {
    const text = ours.has(at) ? "" : cellText(cell);
    return text === "" ? [] : [`${layout.header[at] ?? ""}=${text}`];
  });
  return cells.length === 0 ? "" : sha256(cells.toSorted().join("\n")).slice(0, 16);
}

/** A few words of a text, for messages. */
export function short(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 40 ? `${line.slice(0, 39)}…` : line;
}
