import assert from "node:assert/strict";
import { test } from "node:test";
import { readDate, readPriority, readYesNo, shownText } from "../../hub/sheets/cells.ts";
import { createProjectNames } from "../../hub/sheets/names.ts";
import { endOfDay, formatTime } from "../../hub/sheets/zone.ts";

test("dates are read in the forms that are plain, and in no other", () => {
  for (const text of [
    "2026-01-15",
    "2026/1/15",
    "15.1.2026",
    "15. 01. 2026",
    "1/15/2026",
    "15 Jan 2026",
    "January 15th, 2026",
    "2026-01-15 08:30",
  ])
    assert.deepEqual(readDate(text), { ok: true, text: "2026-01-15" }, text);
  for (const text of ["3/4/2026", "2026-02-30", "15.1.26", "soon", "2026-13-01", "=TODAY()"])
    assert.equal(readDate(text).ok, false, text);
  assert.deepEqual(readDate(""), { ok: true, text: "" });
});

test("priorities and yes or no", () => {
  const read = readPriority("3");
  assert.deepEqual(
    ["1", "P2", "p 7", "4.0", ""].map((text) => read(text)),
    ["1", "2", "7", "4", "3"].map((text) => ({ ok: true, text })),
  );
  for (const text of ["0", "100", "-1", "1.5", "high"]) assert.equal(read(text).ok, false, text);
  assert.deepEqual(
    ["Yes", "x", "TRUE", "ja"].map((text) => readYesNo(text)),
    Array.from({ length: 4 }, () => ({ ok: true, text: "Yes" })),
  );
  assert.equal(readYesNo("perhaps").ok, false);
});

test("times are shown in the person's zone, and a day ends there, also when clocks change", () => {
  const at = Date.UTC(2026, 6, 1, 22, 5);
  assert.deepEqual(
    ["UTC", "Europe/Berlin", "America/New_York"].map((zone) => formatTime(at, zone)),
    ["2026-07-01 22:05", "2026-07-02 00:05", "2026-07-01 18:05"],
  );
  assert.equal(endOfDay("2026-03-29", "Europe/Berlin"), Date.UTC(2026, 2, 29, 21, 59, 59, 999));
  assert.equal(endOfDay("2026-03-28", "Europe/Berlin"), Date.UTC(2026, 2, 28, 22, 59, 59, 999));
  assert.equal(endOfDay("2026-10-25", "Europe/Berlin"), Date.UTC(2026, 9, 25, 22, 59, 59, 999));
});

test("law 13: control characters, hidden marks and line ends do not reach a cell of the hub's", () => {
  assert.equal(shownText("a\u001b[31mb\u202ec\r\n  d\0"), "a[31mbc d");
  assert.equal(shownText("x".repeat(5_000)).length, 2_000);
});

test("a project is found by name, slug, or the beginning that only one has", () => {
  const find = createProjectNames([
    { ref: 1, name: "Antenna ML Pipeline", slug: "antenna-ml-pipeline" },
    { ref: 2, name: "Antenna", slug: "antenna" },
    { ref: "new", name: "APRS Audio Tools", slug: "aprs-audio-tools" },
  ]);
  const ref = (text: string) => {
    const found = find(text);
    return "why" in found ? found.why : found.ref;
  };
  assert.deepEqual(["antenna", " ANTENNA ml", "aprs-audio-tools", "AP"].map(ref), [2, 1, "new", "new"]);
  assert.match(String(ref("A")), /it could be "Antenna ML Pipeline" or "Antenna"/);
  assert.match(String(ref("Zebra")), /no project has that name/);
});
