import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sheet, TabContent, TabName } from "../../hub/sheets/sheet.ts";

/** A sheet under test, and a way to change it as a person does. */
export interface SheetSubject {
  sheet: Sheet;
  /** Saves a whole tab, past the port. */
  save(tab: TabName, content: TabContent): Promise<void>;
}

/** What every kind of sheet must do. `withSheet` makes an empty one and takes it away again. */
export function sheetContract(
  kind: string,
  withSheet: (use: (subject: SheetSubject) => Promise<void>) => Promise<void>,
): void {
  const header = ["Project", "Priority", "Notes"];

  test(`${kind}: a sheet without anything has five empty tabs`, () =>
    withSheet(async ({ sheet }) => {
      const reading = await sheet.read();
      assert.deepEqual(
        Object.values(reading.tabs),
        Array.from({ length: 5 }, () => ({ header: [], rows: [] })),
      );
      assert.deepEqual([reading.held, reading.earlier, reading.notes], [[], [], []]);
    }));

  test(`${kind}: what a person saved is read as text, in its order`, () =>
    withSheet(async ({ sheet, save }) => {
      const rows = [
        ["Antenna", "1", "a, b; c"],
        ["", "", ""],
        ["Über 東京", "02", 'he said "no"\nand left'],
      ];
      await save("Projects", { header, rows });
      assert.deepEqual((await sheet.read()).tabs.Projects, { header, rows });
    }));

  test(`${kind}: the version changes with the content, and only with it`, () =>
    withSheet(async ({ sheet, save }) => {
      await save("Projects", { header, rows: [["A", "1", ""]] });
      const first = (await sheet.read()).version;
      assert.equal((await sheet.read()).version, first);
      await save("Projects", { header, rows: [["A", "2", ""]] });
      assert.notEqual((await sheet.read()).version, first);
    }));

  test(`${kind}: cells, columns and rows are written, and nothing else changes`, () =>
    withSheet(async ({ sheet, save }) => {
      await save("Projects", {
        header,
        rows: [
          ["A", "1", "mine"],
          ["B", "2", ""],
          ["C", "3", "=1+1"],
        ],
      });
      const { version } = await sheet.read();
      const written = await sheet.write(version, [
        {
          tab: "Projects",
          header: [...header, "Why"],
          cells: [
            { row: 1, column: 1, text: "7" },
            { row: 2, column: 3, text: "waits, for T3" },
          ],
          append: [["D", "4", "", 'new "row"\nof ours']],
          remove: [0],
        },
      ]);
      assert.deepEqual(written, { outcome: "written", tabs: ["Projects"], why: "" });
      const { tabs } = await sheet.read();
      assert.deepEqual(tabs.Projects?.header, [...header, "Why"]);
      assert.deepEqual(
        tabs.Projects?.rows.map((row) => header.concat("Why").map((_, at) => row[at] ?? "")),
        [
          ["B", "7", "", ""],
          ["C", "3", "=1+1", "waits, for T3"],
          ["D", "4", "", 'new "row"\nof ours'],
        ],
      );
    }));

  test(`${kind}: every text that is written is read again`, () =>
    withSheet(async ({ sheet }) => {
      const texts = ["'=1", "", " spaces ", "a\tb", "ü€😀", '"', '""', ";", ",", "line\nline", "'", "-", "+1", "0012"];
      await sheet.write((await sheet.read()).version, [
        { tab: "Control", header: ["Stop", "Why"], cells: [], append: texts.map((text) => ["", text]), remove: [] },
      ]);
      const { tabs } = await sheet.read();
      assert.deepEqual(
        tabs.Control?.rows.map((row) => row[1] ?? ""),
        texts,
      );
    }));

  test(`${kind}: law 8: nothing is written over what was saved after the reading`, () =>
    withSheet(async ({ sheet, save }) => {
      await save("Projects", { header, rows: [["A", "1", ""]] });
      const { version } = await sheet.read();
      await save("Projects", { header, rows: [["A", "1", "typed meanwhile"]] });
      const edits = { tab: "Projects" as const, cells: [{ row: 0, column: 1, text: "9" }], append: [], remove: [] };
      assert.equal((await sheet.write(version, [edits])).outcome, "changed");
      assert.deepEqual((await sheet.read()).tabs.Projects?.rows, [["A", "1", "typed meanwhile"]]);
    }));

  test(`${kind}: a save is noticed without being asked for`, { timeout: 20_000 }, () =>
    withSheet(async ({ sheet, save }) => {
      let stop = (): void => undefined;
      const noticed = new Promise<void>((resolve) => (stop = sheet.watch(resolve)));
      await save("Projects", { header, rows: [["A", "1", ""]] });
      await noticed;
      stop();
    }),
  );
}
