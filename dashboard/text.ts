/**
 * Text from outside, made fit to be read. Escaping is the template's work; this takes away
 * what is not text at all and bounds what is left.
 */

// oxlint-disable-next-line no-control-regex -- terminal sequences begin with a control character
const TERMINAL_SEQUENCES = /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[@-Z\\^_])/g;
// oxlint-disable-next-line no-control-regex -- the point is to drop control characters
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g;

/** `text` without terminal sequences and control characters; line ends become `\n`, tabs stay. */
export function plain(text: string): string {
  return text.replace(TERMINAL_SEQUENCES, "").replace(/\r\n?/g, "\n").replace(CONTROL, "");
}

/** `text` on one line, at most `max` characters with an ellipsis where it was cut. */
export function oneLine(text: string, max = 160): string {
  return clip(
    plain(text.slice(0, max * 8))
      .replace(/\s+/g, " ")
      .trim(),
    max,
  );
}

/** At most `max` characters of `text`, with an ellipsis where it was cut. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  const cut = text.slice(0, max - 1);
  // Half a surrogate pair at the cut would be shown as a replacement character.
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** The last `max` characters of `text`, from the beginning of a line where there is one. */
export function tail(text: string, max: number): string {
  if (text.length <= max) return text;
  const cut = text.slice(-max);
  const line = cut.indexOf("\n");
  return line === -1 || line === cut.length - 1 ? cut : cut.slice(line + 1);
}

/** `1 task`, `2 tasks`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en-GB")} ${n === 1 ? one : many}`;
}

/** A size in bytes as people read it: `812 bytes`, `4.2 kB`, `1.3 MB`. */
export function size(bytes: number): string {
  if (bytes < 1_000) return count(bytes, "byte");
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
