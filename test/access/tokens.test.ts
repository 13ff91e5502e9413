import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bearerOf, createTokens } from "../../hub/access/tokens.ts";
import { HOUR } from "../../hub/base/clock.ts";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import { createStillClock } from "../helpers/still-clock.ts";

function tokensInMemory() {
  const clock = createStillClock();
  const store = openSqliteStore({ path: ":memory:" });
  return { clock, store, tokens: createTokens(store, clock) };
}

test("a token is cto_ and 256 random bits, and no two are alike", async () => {
  const { tokens } = tokensInMemory();
  const grant = { role: "human" as const, label: "a", ttlMs: null };
  const [one, two] = [await tokens.issue(SUPERVISOR, grant), await tokens.issue(SUPERVISOR, grant)];
  assert.match(one.token, /^cto_[A-Za-z0-9_-]{43}$/);
  assert.equal(Buffer.from(one.token.slice(4), "base64url").length, 32);
  assert.notEqual(one.token, two.token);
});

test("a token says who bears it, until it expires or is revoked", async () => {
  const { tokens, clock } = tokensInMemory();
  const { id, token } = await tokens.issue(SUPERVISOR, { role: "human", label: "a", ttlMs: HOUR });
  const principal = { role: "human", name: `token:${id}`, sessionId: null, projectId: null };
  assert.deepEqual(await tokens.principalOf(token), principal);
  clock.pass(HOUR + 1);
  assert.equal(await tokens.principalOf(token), undefined);
  const second = await tokens.issue(SUPERVISOR, { role: "admin", label: "b", ttlMs: null });
  assert.equal((await tokens.principalOf(second.token))?.role, "admin");
  await tokens.revoke(SUPERVISOR, second.id);
  assert.equal(await tokens.principalOf(second.token), undefined);
});

test("a session's token ends with the session", async () => {
  const { tokens, clock, store } = tokensInMemory();
  await store.openSession(
    { id: "s-1", agent: "a", projectId: null, kind: "supervised", machine: "native" },
    clock.now(),
  );
  const { token } = await tokens.issue(SUPERVISOR, { role: "agent", sessionId: "s-1", label: "s", ttlMs: null });
  assert.equal((await tokens.principalOf(token))?.sessionId, "s-1");
  await store.endSession("s-1", { outcome: "ended", exitCode: 0 }, clock.now());
  assert.equal(await tokens.principalOf(token), undefined);
});

test("what is no token is nobody's, whatever it is made of", async () => {
  const { tokens } = tokensInMemory();
  const { token } = await tokens.issue(SUPERVISOR, { role: "human", label: "a", ttlMs: null });
  const flipped = token.slice(0, -2) + (token.endsWith("A", token.length - 1) ? "B" : "A") + token.slice(-1);
  for (const wrong of [
    "",
    "cto_",
    `${token} `,
    token.slice(1),
    token.toUpperCase(),
    flipped,
    `${token}A`,
    "cto_' OR 1=1 --",
    "__proto__",
  ])
    assert.equal(await tokens.principalOf(wrong), undefined, wrong);
});

test("no byte of a token is kept: not in the database, its log or a backup", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cto-tokens-"));
  try {
    const clock = createStillClock();
    const store = openSqliteStore({ path: join(folder, "cto.db") });
    const { token } = await createTokens(store, clock).issue(SUPERVISOR, { role: "human", label: "a", ttlMs: null });
    await store.backup(join(folder, "backup.db"));
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    assert.ok(files.length >= 2);
    for (const file of files) assert.equal(file.includes(token.slice(4)), false);
    store.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a bearer is read from its header only in the form that it has", () => {
  assert.equal(bearerOf("Bearer cto_x"), "cto_x");
  assert.equal(bearerOf("bearer cto_x"), "cto_x");
  for (const wrong of [undefined, "", "cto_x", "Basic cto_x", "Bearer", "Bearer a b", `Bearer ${"x".repeat(300)}`])
    assert.equal(bearerOf(wrong), undefined);
});
