import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import { cellText, safeCell, tidyText } from "../../hub/sheets/cells.ts";
import { createCsvSheet, createSheetFolder, type CsvSheetOptions } from "../../hub/sheets/csv.ts";
import { patchCsv, readCsv } from "../../hub/sheets/csv-text.ts";
import type { Sheet, TabEdits } from "../../hub/sheets/sheet.ts";
import { sheetContract } from "../contracts/sheet.ts";
import { needs } from "../helpers/needs.ts";

async function withFolder(
  use: (folder: string, sheet: Sheet) => Promise<void>,
  options: CsvSheetOptions = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "cto-csv-"));
  try {
    await use(folder, createCsvSheet(folder, { quietMs: 0, ...options }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

sheetContract("csv", (use) =>
  withFolder((folder, sheet) =>
    use({
      sheet,
      save: async (tab, { header, rows }) => writeFileSync(join(folder, `${tab}.csv`), stringify([header, ...rows])),
    }),
  ),
);

const edit = (cells: TabEdits["cells"], append: string[][] = []): TabEdits => ({
  tab: "Projects",
  cells,
  append,
  remove: [],
});

function patched(file: string | Buffer, edits: TabEdits): Buffer {
  const text = readCsv("Projects", Buffer.from(file));
  assert.ok("content" in text, JSON.stringify(text));
  return patchCsv(text, edits);
}

test("a file without edits keeps every byte, whatever its form", () => {
  for (const file of [
    "Project,Priority\nA,1\n",
    '\ufeffProject;Priority\r\n"A";1\r\n\r\n;;;\r\n',
    "Project\tPriority\rA\t1\r",
    'Project,Priority\nA, "1" ,"x"y\n\n,,\nlast row, "open',
    "sep=;\r\nProject;Priority\r\nA;1\r\n",
    "Project,Priority\nA,1",
  ]) {
    assert.equal(patched(file, edit([])).toString(), file);
  }
});

test("an edit keeps the byte order mark, the delimiter, the line ends and the quotes of its row", () => {
  const file = '\ufeff"Project";Priority;Notes\r\n"A";1;"x"\r\n"B";2;"two\r\nlines"\r\n';
  const edits = edit([{ row: 1, column: 1, text: "a;b" }], [["C", "3"]]);
  assert.equal(
    patched(file, edits).toString(),
    '\ufeff"Project";Priority;Notes\r\n"A";1;"x"\r\n"B";"a;b";"two\r\nlines"\r\nC;3\r\n',
  );
});

test("a short row is filled up to the written column, and a file without a last line end goes on below it", () => {
  const edits = edit([{ row: 0, column: 2, text: "why" }], [["B"]]);
  assert.equal(patched("Project,Priority,Why\nA", edits).toString(), "Project,Priority,Why\nA,,why\nB\n");
});

test("Excel's Windows-1252 is read, said, and kept byte by byte", () => {
  const file = Buffer.from("Project;Priority\r\nM\xfcnchen \x80;1\r\nB;2\r\n", "latin1");
  const text = readCsv("Projects", file);
  assert.ok("content" in text);
  assert.deepEqual(text.content.rows[0], ["München €", "1"]);
  assert.match(text.note, /Windows-1252/);
  assert.deepEqual(patchCsv(text, edit([])), file);
  const changed = patchCsv(text, edit([{ row: 1, column: 1, text: "3 → é" }]));
  assert.equal(changed.toString("latin1"), "Project;Priority\r\nM\xfcnchen \x80;1\r\nB;3 ? \xe9\r\n");
});

test("a file that cannot be read is said and left alone", () =>
  withFolder(async (folder, sheet) => {
    const broken = 'Project,Priority\n"A,1\nB,2\n';
    writeFileSync(join(folder, "Projects.csv"), broken);
    writeFileSync(join(folder, "Task Queue.csv"), Buffer.from("Project,Description\nA,b\n", "utf16le"));
    const reading = await sheet.read();
    assert.equal(reading.tabs.Projects, undefined);
    assert.match(
      reading.notes.join("\n"),
      /Projects\.csv cannot be read as CSV: Quote Not Closed.*\n.*Task Queue\.csv is not plain text/,
    );
    assert.equal((await sheet.write(reading.version, [edit([], [["C"]])])).outcome, "changed");
    assert.equal(readFileSync(join(folder, "Projects.csv"), "utf8"), broken);
  }));

test("any rows survive being written and read, property", () => {
  const cell = fc.string({ unit: "binary", maxLength: 12 }).map((text) => text.replace(/\0/g, ""));
  const row = fc.array(cell, { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 6 }), fc.constantFrom(",", ";", "\t"), (rows, delimiter) => {
      const file = `Project${delimiter}Priority${delimiter}Why\n`;
      const bytes = patched(file, edit([], rows));
      const again = readCsv("Projects", bytes);
      assert.ok("content" in again);
      assert.deepEqual(again.content.rows, rows);
    }),
    { numRuns: 1_000 },
  );
});

test("law 13: what the hub writes into a cell is never a formula, and reads as the same text", () => {
  const start = fc.constantFrom("", "=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'", "''", "'=");
  fc.assert(
    fc.property(start, fc.string({ unit: "binary" }), (first, rest) => {
      const written = safeCell(first + rest);
      assert.doesNotMatch(written, /^[=+\-@\t\r\n＝＋－＠]/);
      const tidy = tidyText(first + rest);
      assert.equal(cellText(safeCell(tidy)), tidy);
    }),
    { numRuns: 2_000 },
  );
});

test("the folder is made with five tabs, and what is there stays", () =>
  withFolder(async (folder, sheet) => {
    writeFileSync(join(folder, "Projects.csv"), "Project\nMine\n");
    const made = createSheetFolder(folder, { "Task Queue": [{ Project: "Mine", Description: "=x" }] });
    assert.deepEqual(made, ["Task Queue", "Agent Status", "Activity Log", "Control"]);
    assert.equal(readFileSync(join(folder, "Projects.csv"), "utf8"), "Project\nMine\n");
    const { tabs } = await sheet.read();
    assert.deepEqual(tabs.Control?.header, ["Stop", "Confirm", "Stopped", "By", "Why"]);
    assert.deepEqual(tabs["Task Queue"]?.rows[0]?.slice(0, 3), ["", "Mine", "'=x"]);
    assert.deepEqual(createSheetFolder(folder), []);
  }));

test("LibreOffice's, Emacs' and Kate's lock files hold writing, and reading goes on", () =>
  withFolder(async (folder, sheet) => {
    writeFileSync(join(folder, "Projects.csv"), "Project,Priority\nA,1\n");
    for (const [lock, name] of [
      [".~lock.Projects.csv#", "LibreOffice"],
      [".#Projects.csv", "Emacs"],
      [".Projects.csv.kate-swp", "Kate"],
    ] as const) {
      const path = join(folder, lock);
      if (name === "Emacs") symlinkSync("me@host.1:2", path);
      else writeFileSync(path, ",me,host,22.11.2026 15:20,file:///home/me/.config;");
      const reading = await sheet.read();
      assert.deepEqual(reading.held, [{ tab: "Projects", why: `${name} has Projects.csv open` }]);
      assert.deepEqual(reading.tabs.Projects?.rows, [["A", "1"]]);
      const written = await sheet.write(reading.version, [edit([{ row: 0, column: 1, text: "2" }])]);
      assert.deepEqual(written, { outcome: "held", tabs: [], why: `${name} has Projects.csv open` });
      rmSync(path);
    }
    const { version } = await sheet.read();
    assert.equal((await sheet.write(version, [edit([{ row: 0, column: 1, text: "2" }])])).outcome, "written");
  }));

const withoutVim = needs(existsSync("/usr/bin/vim") ? false : "there is no /usr/bin/vim: apt-get install vim");

test(
  "a vim that has the file open holds writing; the swap file of one that died does not",
  { skip: withoutVim },
  async () => {
    await withFolder(async (folder, sheet) => {
      const path = join(folder, "Projects.csv");
      const swap = join(folder, ".Projects.csv.swp");
      writeFileSync(path, "Project,Priority\nA,1\n");
      const vim = spawn(
        "/usr/bin/vim",
        ["-n", "-u", "NONE", "-i", "NONE", "--cmd", "set swapfile", "-c", "edit!", path],
        {
          stdio: ["pipe", "ignore", "ignore"],
          env: { ...process.env, TERM: "dumb" },
        },
      );
      try {
        vim.stdin.write(":set swapfile updatecount=1\r:edit!\rA0\u001b");
        for (let n = 0; n < 200 && !existsSync(swap); n++) await pause(25);
        assert.ok(existsSync(swap), "vim made its swap file");
        for (let n = 0; n < 200 && readFileSync(swap).length < 108; n++) await pause(25);
        assert.deepEqual((await sheet.read()).held, [{ tab: "Projects", why: "vim has Projects.csv open" }]);
      } finally {
        vim.kill("SIGKILL");
        await new Promise((resolve) => vim.once("close", resolve));
      }
      assert.ok(existsSync(swap), "a killed vim leaves its swap file");
      assert.deepEqual((await sheet.read()).held, []);
    });
  },
);

test("an editor that still has the old file open and writes into it after it was replaced loses nothing", () =>
  withFolder(async (folder, sheet) => {
    const path = join(folder, "Projects.csv");
    writeFileSync(path, "Project,Priority\nA,1\n");
    const { version } = await sheet.read();
    const fd = openSync(path, "r+");
    assert.equal((await sheet.write(version, [edit([{ row: 0, column: 1, text: "2" }])])).outcome, "written");
    writeSync(fd, "Project,Priority\nA,1\nTyped,5\n", 0);
    closeSync(fd);
    await sheet.read();
    const reading = await sheet.read();
    assert.deepEqual(reading.tabs.Projects?.rows, [["A", "2"]]);
    assert.deepEqual(
      reading.earlier.map(({ tab, content }) => [tab, content.rows]),
      [
        [
          "Projects",
          [
            ["A", "1"],
            ["Typed", "5"],
          ],
        ],
      ],
    );
    await sheet.settle(reading.earlier.map(({ id }) => id));
    assert.deepEqual((await sheet.read()).earlier, []);
  }));

for (const at of ["temporary", "aside", "linked"]) {
  test(`kill -9 between the steps of replacing (${at}) loses nothing: the next reading finds it`, () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, "Projects.csv"), "Project,Priority\nA,1\n");
      const writer = fileURLToPath(new URL("killed-writer.ts", import.meta.url));
      const child = spawn(process.execPath, [writer, folder, at], { stdio: ["ignore", "inherit", "inherit"] });
      const [, signal] = await once(child, "exit");
      assert.equal(signal, "SIGKILL");
      assert.ok(readdirSync(folder).length > 1, "it was killed in the middle");
      const next = createCsvSheet(folder, { quietMs: 0, asideMs: 0 });
      const reading = await next.read();
      assert.deepEqual(reading.tabs.Projects?.rows, [["A", at === "linked" ? "2" : "1"]]);
      // What was replaced had been read and taken over: its name says so.
      assert.deepEqual(reading.earlier, []);
      await next.read();
      assert.deepEqual(readdirSync(folder), ["Projects.csv"]);
    }));
}

test("what was typed into a replaced file while the hub was down is read at its next start", () =>
  withFolder(async (folder, sheet) => {
    const path = join(folder, "Projects.csv");
    writeFileSync(path, "Project,Priority\nA,1\n");
    const fd = openSync(path, "r+");
    await sheet.write((await sheet.read()).version, [edit([{ row: 0, column: 1, text: "2" }])]);
    writeSync(fd, "Project,Priority\nA,1\nTyped,5\n", 0);
    closeSync(fd);
    const next = createCsvSheet(folder, { quietMs: 0 });
    const reading = await next.read();
    assert.deepEqual(reading.earlier[0]?.content.rows.at(-1), ["Typed", "5"]);
    assert.deepEqual(reading.tabs.Projects?.rows, [["A", "2"]]);
  }));

/** Saves as editors do: by a new file over the old one, or by truncating and writing in place. */
function saveLike(kind: "rename" | "in place", path: string, text: string): void {
  if (kind === "rename") {
    writeFileSync(`${path}~`, text);
    renameSync(`${path}~`, path);
  } else {
    const fd = openSync(path, "w");
    const half = Math.floor(text.length / 2);
    writeSync(fd, text.slice(0, half));
    writeSync(fd, text.slice(half));
    closeSync(fd);
  }
}

for (const kind of ["rename", "in place"] as const) {
  test(`law 8: an editor that saves (${kind}) in the middle of our replacing never loses its save`, async () => {
    let due = "";
    let file = "";
    const step = (name: string): void => {
      if (name === due) saveLike(kind, file, "Project,Priority\nA,1\nTyped,5\n");
    };
    for (due of ["temporary", "aside", "linked"]) {
      await withFolder(
        async (folder, sheet) => {
          file = join(folder, "Projects.csv");
          writeFileSync(file, "Project,Priority\nA,1\n");
          const { version } = await sheet.read();
          const { outcome } = await sheet.write(version, [edit([{ row: 0, column: 1, text: "2" }])]);
          due = "";
          await sheet.read();
          const reading = await sheet.read();
          const saves = [reading.tabs.Projects, ...reading.earlier.map(({ content }) => content)];
          assert.ok(
            saves.some((content) => content?.rows.some((row) => row[0] === "Typed")),
            `${kind}: ${outcome}: ${JSON.stringify(saves)}`,
          );
        },
        { replace: { step } },
      );
    }
  });
}
