import { timingSafeEqual } from "node:crypto";
import { DAY, MINUTE, type Clock } from "../base/clock.ts";
import { randomId, sha256, type IdSource } from "../base/ids.ts";
import type { Principal } from "../base/session.ts";
import type { Tokens } from "./tokens.ts";

/** How long a login code can be used. */
export const CODE_TTL_MS = 10 * MINUTE;
/** How long a browser stays logged in. */
export const LOGIN_TTL_MS = 30 * DAY;
/** Codes that wait at once: one more forgets the oldest. */
const MAX_CODES = 20;
const CODE_BYTES = 24;

/** Logins of the page. */
export interface Logins {
  /** A code that logs one browser in, once, within ten minutes. Codes do not outlive the process. */
  newCode(): string;
  /** Uses `code` up and answers the value of the login cookie; undefined when the code is wrong, used or too old. */
  exchange(code: string): Promise<string | undefined>;
  /** Who is logged in with that cookie; undefined when nobody is. */
  principalOf(cookie: string | undefined): Promise<Principal | undefined>;
  /** Ends the login: the cookie is worth nothing from now on. */
  end(cookie: string | undefined): Promise<void>;
}

const LOGIN: Principal = { role: "admin", name: "login", sessionId: null, projectId: null };

/**
 * Logins are tokens of the role `human` that a browser keeps as a cookie, so that they outlive a
 * restart of the hub, are kept hashed like every other token, and end when they are revoked.
 */
export function createLogins(tokens: Tokens, clock: Clock, random: IdSource = randomId): Logins {
  const codes: { hash: Buffer; until: number }[] = [];

  function take(code: string): boolean {
    const hash = hashed(code);
    const now = clock.monotonic();
    const at = codes.findIndex((each) => each.until > now && timingSafeEqual(each.hash, hash));
    if (at < 0) return false;
    codes.splice(at, 1);
    return true;
  }

  return {
    newCode() {
      const code = random(CODE_BYTES);
      codes.push({ hash: hashed(code), until: clock.monotonic() + CODE_TTL_MS });
      if (codes.length > MAX_CODES) codes.shift();
      return code;
    },
    async exchange(code) {
      if (!take(code)) return undefined;
      const { id, token } = await tokens.issue(LOGIN, { role: "human", label: "page", ttlMs: LOGIN_TTL_MS });
      return `${id}.${token}`;
    },
    async principalOf(cookie) {
      const login = parse(cookie);
      return login && tokens.principalOf(login.token);
    },
    async end(cookie) {
      const login = parse(cookie);
      if (login === undefined) return;
      // The id comes from the browser: only a token that is good itself may revoke, and only itself.
      const principal = await tokens.principalOf(login.token);
      if (principal?.name === `token:${login.id}`) await tokens.revoke(principal, login.id);
    },
  };
}

function hashed(code: string): Buffer {
  return Buffer.from(sha256(code), "hex");
}

/** A cookie is the token's id and the token: the id is what revoking takes. */
function parse(cookie: string | undefined): { id: number; token: string } | undefined {
  const match = /^(\d{1,15})\.(cto_[A-Za-z0-9_-]{43})$/.exec(cookie ?? "");
  return match?.[1] !== undefined && match[2] !== undefined ? { id: Number(match[1]), token: match[2] } : undefined;
}
