import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";

/**
 * A person at an editor, as a process of its own: reads the whole file, adds a row, saves the
 * whole file, by a new file (`rename`) or into the old one (`place`).
 */
const [path = "", kind = "", saves = "0", mark = ""] = process.argv.slice(2);
const pause = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function open(): string[][] {
  for (;;) {
    try {
      const rows = parse(readFileSync(path), { relax_column_count: true });
      if (rows.length > 0) return rows;
    } catch {
      // It is being replaced just now: an editor's user opens it again.
    }
    pause(5);
  }
}

for (let n = 0; n < Number(saves); n++) {
  const rows = open();
  const header = rows[0] ?? [];
  const cells: Record<string, string> = {
    Project: "Ant",
    Description: `${mark.repeat(6)} ${n} ${"xyz"[n % 3]?.repeat(20)}`,
  };
  rows.push(header.map((column) => cells[column] ?? ""));
  const text = stringify(rows);
  pause((n * 37) % 60);
  if (kind === "rename") {
    writeFileSync(`${path}.${mark}~`, text);
    renameSync(`${path}.${mark}~`, path);
  } else {
    const fd = openSync(path, "w");
    const half = Math.floor(text.length / 2);
    writeSync(fd, text.slice(0, half));
    pause(3);
    writeSync(fd, text.slice(half));
    closeSync(fd);
  }
  // Long enough that the next reading of the file has this save in it, or what was made of it.
  pause(120);
}
