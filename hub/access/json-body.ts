/** Deeper JSON than this is refused: whoever walks it would run out of stack. */
const MAX_DEPTH = 64;

export type Body = { ok: true; value: unknown } | { ok: false; status: 400 | 413; why: string };

/**
 * Reads a request's JSON body of at most `maxBytes`. Reading stops as soon as there is more,
 * whatever Content-Length said. An empty body is `undefined`.
 */
export async function readJsonBody(request: Request, maxBytes: number): Promise<Body> {
  const text = await readText(request, maxBytes);
  if (text === undefined) return { ok: false, status: 413, why: `a body may have at most ${maxBytes} bytes` };
  if (text === "") return { ok: true, value: undefined };
  if (isDeeper(text, MAX_DEPTH)) return { ok: false, status: 400, why: `JSON may be nested ${MAX_DEPTH} deep at most` };
  try {
    return { ok: true, value: JSON.parse(text, mayNameProto(text) ? refuseProto : undefined) };
  } catch {
    return { ok: false, status: 400, why: "the body is not valid JSON" };
  }
}

/** A key of this name is dropped silently further on, so that an argument would be lost without a word. */
function refuseProto(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new SyntaxError("a key is named __proto__");
  return value;
}

/** Looking at every key costs more than the rest of reading: done only where one may be that, escaped or not. */
function mayNameProto(text: string): boolean {
  return text.includes("__proto__") || /\\u00(?:5f|7[0-4]|6f)/i.test(text);
}

/** The body as text; undefined when it is longer than `maxBytes`. */
export async function readText(request: Request, maxBytes: number): Promise<string | undefined> {
  const told = request.headers.get("content-length");
  if (Number(told ?? 0) > maxBytes) return undefined;
  if (told !== null && /^\d+$/.test(told)) {
    // A server reads no more than was told, so this is bounded, and far cheaper than the stream below.
    const text = await request.text();
    return Buffer.byteLength(text) > maxBytes ? undefined : text;
  }
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.byteLength;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Counts brackets outside strings, without parsing. */
function isDeeper(text: string, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (quoted) {
      if (char === BACKSLASH) at += 1;
      else if (char === QUOTE) quoted = false;
    } else if (char === QUOTE) quoted = true;
    else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
      depth += 1;
      if (depth > limit) return true;
    } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth -= 1;
  }
  return false;
}

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d];
