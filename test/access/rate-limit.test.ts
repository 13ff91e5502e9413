import assert from "node:assert/strict";
import { test } from "node:test";
import { createRateLimit } from "../../hub/access/rate-limit.ts";
import { createStillClock } from "../helpers/still-clock.ts";

test("law 14: a caller may send so much at once and so much on and on, and others are not affected", () => {
  const clock = createStillClock();
  const limit = createRateLimit({ burst: 10, perSecond: 2 }, clock);
  assert.equal(limit("a", 10), 0);
  assert.equal(limit("a", 4), 2);
  assert.equal(limit("b", 10), 0);
  clock.pass(2_000);
  assert.equal(limit("a", 4), 0);
  assert.equal(limit("a", 1), 1);
});

test("what was refused costs nothing, and the bucket never holds more than the burst", () => {
  const clock = createStillClock();
  const limit = createRateLimit({ burst: 10, perSecond: 1 }, clock);
  for (let n = 0; n < 100; n += 1) assert.ok(limit("a", 11) > 0);
  assert.equal(limit("a", 10), 0);
  clock.pass(3_600_000);
  clock.jump(-3_600_000);
  assert.equal(limit("a", 10), 0);
  assert.ok(limit("a", 1) > 0);
});
