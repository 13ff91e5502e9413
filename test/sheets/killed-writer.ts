import { createCsvSheet } from "../../hub/sheets/csv.ts";

/** Writes one cell, and is killed at a step of replacing the file. */
const [folder = "", at = ""] = process.argv.slice(2);
const sheet = createCsvSheet(folder, {
  quietMs: 0,
  replace: {
    step(name) {
      if (name === at) process.kill(process.pid, "SIGKILL");
    },
  },
});
const { version } = await sheet.read();
await sheet.write(version, [{ tab: "Projects", cells: [{ row: 0, column: 1, text: "2" }], append: [], remove: [] }]);
