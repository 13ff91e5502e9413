import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import { messageOf } from "../base/errors.ts";
import { freshHeader, knownHeaders } from "./columns.ts";
import type { TabContent, TabEdits, TabName } from "./sheet.ts";

/** A CSV file as it was found, so that what is not edited can be written back byte by byte. */
export interface CsvText {
  content: TabContent;
  /** UTF-8 without a byte order mark; the file's own encoding is in `encoding`. */
  bytes: Buffer;
  /** Where the header and each row end in `bytes`; each begins where the one before ends. */
  ends: number[];
  /** Where the header begins: after a `sep=` line. */
  start: number;
  delimiter: string;
  lineEnd: "\n" | "\r\n" | "\r";
  encoding: "utf-8" | "windows-1252";
  bom: boolean;
  /** What a person should know of the file's form; empty for nothing. */
  note: string;
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const DELIMITERS = [",", ";", "\t"];
const BYTE_LIMIT = 32 * 1024 * 1024;

/** Reads a CSV file. Answers words for the person when it cannot be read. */
export function readCsv(tab: TabName, file: Buffer): CsvText | { why: string } {
  if (file.length > BYTE_LIMIT) return { why: "is larger than 32 MB" };
  if (file.includes(0)) return { why: "is not plain text (UTF-16?): save it as CSV in UTF-8" };
  const bom = file.subarray(0, 3).equals(BOM);
  const decoded = decode(bom ? file.subarray(3) : file);
  const separator = /^sep=(.)\r?\n/i.exec(decoded.bytes.toString("utf8", 0, 10));
  const start = separator === null ? 0 : Buffer.byteLength(separator[0]);
  try {
    const delimiter = separator?.[1] ?? delimiterOf(tab, decoded.bytes);
    return { ...readRecords(decoded.bytes, start, delimiter), ...decoded, start, delimiter, bom };
  } catch (error) {
    return { why: `cannot be read as CSV: ${messageOf(error)}` };
  }
}

function decode(file: Buffer): { bytes: Buffer; encoding: CsvText["encoding"]; note: string } {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(file);
    return { bytes: file, encoding: "utf-8", note: "" };
  } catch {
    const text = new TextDecoder("windows-1252").decode(file);
    return {
      bytes: Buffer.from(text, "utf8"),
      encoding: "windows-1252",
      note: "is not UTF-8; it is read and kept as Windows-1252 (Excel's own encoding). Save it as CSV UTF-8 to be rid of this note",
    };
  }
}

/** The delimiter with which most of the header is known; a comma where nothing is. */
function delimiterOf(tab: TabName, bytes: Buffer): string {
  let best = ",";
  let most = 0;
  for (const delimiter of DELIMITERS) {
    const [header] = parse(bytes, { ...OPTIONS, delimiter, to: 1 });
    const known = knownHeaders(tab, header ?? []);
    if (known > most) [best, most] = [delimiter, known];
  }
  return best;
}

const OPTIONS = {
  relax_column_count: true,
  relax_quotes: true,
  skip_empty_lines: false,
  record_delimiter: ["\r\n", "\n", "\r"],
};

function readRecords(bytes: Buffer, start: number, delimiter: string): Pick<CsvText, "content" | "ends" | "lineEnd"> {
  const records = parse(bytes.subarray(start), { ...OPTIONS, delimiter, info: true }) as unknown as {
    record: string[];
    info: { bytes: number };
  }[];
  const ends = records.map(({ info }) => start + info.bytes);
  const [header, ...rows] = records.map(({ record }) => record);
  return { content: { header: header ?? [], rows }, ends, lineEnd: lineEndOf(bytes, ends) };
}

function lineEndOf(bytes: Buffer, ends: number[]): CsvText["lineEnd"] {
  const end = ends.find((at) => bytes[at - 1] === 10 || bytes[at - 1] === 13);
  if (end === undefined || bytes[end - 1] === 10) return end !== undefined && bytes[end - 2] === 13 ? "\r\n" : "\n";
  return "\r";
}

/** An empty file with a new sheet's header, in the plainest form. */
export function emptyCsv(): CsvText {
  return {
    content: { header: [], rows: [] },
    bytes: Buffer.alloc(0),
    ends: [],
    start: 0,
    delimiter: ",",
    lineEnd: "\n",
    encoding: "utf-8",
    bom: false,
    note: "",
  };
}

/** The file with `edits` made. Rows without an edit keep their bytes. */
export function patchCsv(text: CsvText, edits: TabEdits): Buffer {
  const changed = new Map<number, Map<number, string>>();
  for (const { row, column, text: cell } of edits.cells) {
    const cells = changed.get(row) ?? new Map<number, string>();
    cells.set(column, cell);
    changed.set(row, cells);
  }
  const removed = new Set(edits.remove);
  const parts: Buffer[] = [text.bytes.subarray(0, text.start)];
  const place = (row: number) =>
    text.bytes.subarray(row === -1 ? text.start : (text.ends[row] ?? text.start), text.ends[row + 1] ?? text.start);
  // What follows must not begin on the last line of a file that ends without a line end.
  const add = (bytes: Buffer) => {
    const last = parts.at(-1);
    const before = last?.at(-1);
    if (last !== undefined && last.length > 0 && before !== 10 && before !== 13) parts.push(Buffer.from(text.lineEnd));
    if (bytes.length > 0) parts.push(bytes);
  };
  if (edits.header === undefined) add(place(-1));
  else add(rowBytes(text, place(-1), edits.header, true));
  text.content.rows.forEach((row, at) => {
    if (removed.has(at)) return;
    const cells = changed.get(at);
    add(cells === undefined ? place(at) : rowBytes(text, place(at), withCells(row, cells), true));
  });
  for (const row of edits.append) add(rowBytes(text, undefined, row, false));
  return encode(Buffer.concat(parts), text);
}

function withCells(row: string[], cells: Map<number, string>): string[] {
  const result = [...row];
  for (const [column, cell] of cells) {
    while (result.length < column) result.push("");
    result[column] = cell;
  }
  return result;
}

/** A row as bytes; cells that were quoted in `old` stay quoted. */
function rowBytes(text: CsvText, old: Buffer | undefined, row: string[], keepQuotes: boolean): Buffer {
  const quoted = old !== undefined && keepQuotes ? quotesOf(text, old) : [];
  const line = stringify([row], {
    delimiter: text.delimiter,
    eof: true,
    record_delimiter: lineEndOfRow(text, old),
    quoted_match: /[\r\n]|^\s|\s$/,
    cast: { string: (value, { index }) => ({ value, quoted: quoted[index] ?? false }) },
  });
  return Buffer.from(line, "utf8");
}

function lineEndOfRow(text: CsvText, old: Buffer | undefined): string {
  if (old === undefined || old.length === 0) return text.lineEnd;
  if (old.at(-1) === 13) return "\r";
  if (old.at(-1) !== 10) return text.lineEnd;
  return old.at(-2) === 13 ? "\r\n" : "\n";
}

function quotesOf(text: CsvText, old: Buffer): boolean[] {
  if (!old.includes(0x22)) return [];
  const [row] = parse(old, {
    ...OPTIONS,
    delimiter: text.delimiter,
    cast: (_value, { quoting }) => (quoting ? "1" : ""),
  });
  return (row ?? []).map((cell) => cell === "1");
}

/** The byte of each character that Windows-1252 has. */
let windowsBytes: Map<string, number> | undefined;

function encode(bytes: Buffer, text: CsvText): Buffer {
  if (text.encoding === "utf-8") return text.bom ? Buffer.concat([BOM, bytes]) : bytes;
  windowsBytes ??= new Map(
    Array.from({ length: 256 }, (_, byte) => [new TextDecoder("windows-1252").decode(Uint8Array.of(byte)), byte]),
  );
  const table = windowsBytes;
  const question = "?".charCodeAt(0);
  return Buffer.from(Array.from(bytes.toString("utf8"), (character) => table.get(character) ?? question));
}

/** A new file: header and rows. */
export function newCsv(tab: TabName, rows: string[][]): Buffer {
  return patchCsv(emptyCsv(), { tab, header: freshHeader(tab), cells: [], append: rows, remove: [] });
}
