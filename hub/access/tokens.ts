import type { Clock } from "../base/clock.ts";
import { randomId, sha256, type IdSource } from "../base/ids.ts";
import type { Principal, Role } from "../base/session.ts";
import type { Store, TokenGrant } from "../stores/store.ts";

/** 256 bits. */
const TOKEN_BYTES = 32;
const TOKEN_PATTERN = /^cto_[A-Za-z0-9_-]{43}$/;

/** What tokens are issued, looked up and revoked with. */
export interface Tokens {
  /** A new token. It is returned here once and can never be read again. `ttlMs` null never expires. */
  issue(by: Principal, grant: NewToken): Promise<{ id: number; token: string }>;
  /** Who bears `token`; undefined when it is malformed, unknown, expired, revoked, or its session has ended. */
  principalOf(token: string): Promise<Principal | undefined>;
  revoke(by: Principal, id: number): Promise<void>;
}

export interface NewToken {
  role: Role;
  /** Binds it to one session, whose end revokes it. */
  sessionId?: string;
  /** Binds it to one project. */
  projectId?: number;
  /** Shown to the person where tokens are listed. */
  label: string;
  ttlMs: number | null;
}

/**
 * Bearer tokens: `cto_` and 256 random bits in base64url. Only the SHA-256 is kept, and a token
 * is looked up by it: an attacker who times the lookup learns about hashes, from which there is
 * no way back to a token.
 */
export function createTokens(store: Store, clock: Clock, random: IdSource = randomId): Tokens {
  return {
    async issue(by, grant) {
      const token = `cto_${random(TOKEN_BYTES)}`;
      const now = clock.now();
      const id = await store.issueToken(by, sha256(token), grantOf(grant, now), now);
      return { id, token };
    },
    async principalOf(token) {
      if (!TOKEN_PATTERN.test(token)) return undefined;
      return store.principalOf(sha256(token), clock.now());
    },
    revoke: (by, id) => store.revokeToken(by, id, clock.now()),
  };
}

function grantOf(grant: NewToken, now: number): TokenGrant {
  return {
    role: grant.role,
    sessionId: grant.sessionId ?? null,
    projectId: grant.projectId ?? null,
    label: grant.label.slice(0, 100),
    expiresAt: grant.ttlMs === null ? null : now + grant.ttlMs,
  };
}

/** The token of an `Authorization: Bearer …` header; undefined when it is none. */
export function bearerOf(header: string | undefined): string | undefined {
  const match = /^Bearer +([^\s]{1,200})$/i.exec(header ?? "");
  return match?.[1];
}
