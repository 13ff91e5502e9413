import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE_TTL_MS, createLogins, LOGIN_TTL_MS } from "../../hub/access/logins.ts";
import { createTokens } from "../../hub/access/tokens.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import { createStillClock } from "../helpers/still-clock.ts";

function loginsInMemory() {
  const clock = createStillClock();
  const tokens = createTokens(openSqliteStore({ path: ":memory:" }), clock);
  return { clock, tokens, logins: createLogins(tokens, clock) };
}

test("a code logs one browser in, once", async () => {
  const { logins } = loginsInMemory();
  const code = logins.newCode();
  const cookie = await logins.exchange(code);
  assert.ok(cookie);
  assert.equal(await logins.exchange(code), undefined);
  assert.equal((await logins.principalOf(cookie))?.role, "human");
});

test("two browsers that send the same code at once: one gets in", async () => {
  const { logins } = loginsInMemory();
  const code = logins.newCode();
  const cookies = await Promise.all(Array.from({ length: 10 }, () => logins.exchange(code)));
  assert.equal(cookies.filter((cookie) => cookie !== undefined).length, 1);
});

test("a code is good for ten minutes by a clock that nobody can set", async () => {
  const { logins, clock } = loginsInMemory();
  const [early, late] = [logins.newCode(), logins.newCode()];
  clock.pass(CODE_TTL_MS - 1);
  clock.jump(CODE_TTL_MS);
  assert.ok(await logins.exchange(early));
  clock.pass(1);
  clock.jump(-2 * CODE_TTL_MS);
  assert.equal(await logins.exchange(late), undefined);
});

test("only so many codes wait at once, the newest", async () => {
  const { logins } = loginsInMemory();
  const codes = Array.from({ length: 25 }, () => logins.newCode());
  assert.equal(await logins.exchange(codes[0] ?? ""), undefined);
  assert.ok(await logins.exchange(codes[24] ?? ""));
});

test("a login outlives a restart, ends after thirty days, and at once when it is ended", async () => {
  const { logins, tokens, clock } = loginsInMemory();
  const cookie = (await logins.exchange(logins.newCode())) ?? "";
  const restarted = createLogins(tokens, clock);
  assert.ok(await restarted.principalOf(cookie));
  const other = (await restarted.exchange(restarted.newCode())) ?? "";
  await restarted.end(cookie);
  assert.equal(await restarted.principalOf(cookie), undefined);
  assert.ok(await restarted.principalOf(other));
  clock.pass(LOGIN_TTL_MS + 1);
  assert.equal(await restarted.principalOf(other), undefined);
});

test("a cookie ends itself only, whatever id it names", async () => {
  const { logins } = loginsInMemory();
  const victim = (await logins.exchange(logins.newCode())) ?? "";
  const attacker = (await logins.exchange(logins.newCode())) ?? "";
  await logins.end(`${victim.split(".")[0]}.${attacker.split(".")[1]}`);
  assert.ok(await logins.principalOf(victim));
});

test("what is no cookie of ours is nobody's", async () => {
  const { logins } = loginsInMemory();
  for (const wrong of [undefined, "", "1", "1.", "1.cto_x", "__proto__", `x.cto_${"a".repeat(43)}`])
    assert.equal(await logins.principalOf(wrong), undefined);
});
