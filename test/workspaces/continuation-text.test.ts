import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { Continuation, StoredContinuation } from "../../hub/base/continuation.ts";
import {
  boundContinuation,
  CONTINUATION_LIMIT,
  continuationFromObservation,
  parseContinuation,
  renderContinuation,
} from "../../hub/base/continuation-text.ts";

// The brief's own sample, to the letter.
const SAMPLE = `# Continuation State: Antenna ML Pipeline
Last Updated: 2025-12-31 14:30:00
Agent: Claude (VM1)
Credits Used: 450

## Current Task
Implement batch processing pipeline for insect image classification

## Progress
- [x] Set up image preprocessing module
- [x] Created batch loader
- [ ] Implement parallel processing with multiprocessing
- [ ] Add progress bar
- [ ] Write integration tests

## Context
Working in \`src/antenna/processing/batch.py\`. Using Django ORM for database queries. Need to maintain compatibility with existing single-image pipeline.

Key decisions:
- Batch size: 32 images
- Workers: 4 processes
- GPU usage: CUDA if available, CPU fallback

## Blockers
None currently

## Next Action
Implement multiprocessing pool in batch.py, ensure proper cleanup of resources. Verify memory usage stays under 8GB.

## References
- Original issue: #145
- Design doc: docs/antenna/batch-processing.md
- Related PR: #142 (single image pipeline)
`;

const AT = Date.UTC(2025, 11, 31, 14, 30);

function stored(continuation: Continuation, agent = "Claude (VM1)"): StoredContinuation {
  return { ...continuation, id: 1, projectId: 1, taskId: 1, version: 1, author: "agent", agent, at: AT };
}

test("the brief's sample is read and written back to the letter", () => {
  const read = parseContinuation(SAMPLE);
  assert.equal(read.progress.filter((step) => step.done).length, 2);
  assert.deepEqual(read.blockers, []);
  assert.equal(renderContinuation("Antenna ML Pipeline", stored(read), { creditsUsed: "450" }), SAMPLE);
});

test("what a person made of the file is understood", () => {
  const read = parseContinuation(
    [
      "\uFEFF### next action:",
      "Ship it",
      "",
      "# CONTEXT",
      "Words",
      "**Key decisions:**",
      "* one",
      "2) two",
      "## Progress ##",
      "* [X] first",
      "- [] second",
      "third, without a box",
      "## Blockers",
      "- None.",
      "## My own notes",
      "## References",
      "plain line",
    ].join("\r\n"),
  );
  assert.deepEqual(read, {
    currentTask: "",
    progress: [
      { done: true, text: "first" },
      { done: false, text: "second" },
      { done: false, text: "third, without a box" },
    ],
    context: "Words",
    keyDecisions: ["one", "two"],
    blockers: ["## My own notes"],
    nextAction: "Ship it",
    references: ["plain line"],
  });
});

// Lines that try to be something of ours, mixed with any characters at all.
const nasty = fc.constantFrom(
  ..."## Next Action|# Continuation State: x|- [x] done|* [ ] open|1. [x] y|> ## Blockers|Key decisions:|\\## a|\\\\- [ ] b".split(
    "|",
  ),
  ..."```|~~~|<!--|---|===|- ---|\t## tab|None|none currently|- - [x] deep|[x] box|[] box|- > # q|\u2028## ls|\r## cr|\\|#|# |-|- ".split(
    "|",
  ),
  "   ## indented",
  "- \\[x] e",
  "\u200B## zero width",
  "\u202E## turned",
);
const line = fc.oneof(
  nasty,
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.tuple(nasty, fc.string()).map((p) => p.join("")),
);
const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join("\n"));
const anyContinuation: fc.Arbitrary<Continuation> = fc.record({
  currentTask: text,
  progress: fc.array(fc.record({ done: fc.boolean(), text }), { maxLength: 8 }),
  context: text,
  keyDecisions: fc.array(text, { maxLength: 5 }),
  blockers: fc.array(text, { maxLength: 5 }),
  nextAction: text,
  references: fc.array(text, { maxLength: 5 }),
});

test("what is written is read back the same", () => {
  fc.assert(
    fc.property(anyContinuation, fc.string(), (continuation, name) => {
      const bounded = boundContinuation(continuation);
      assert.deepEqual(boundContinuation(bounded), bounded);
      assert.deepEqual(parseContinuation(renderContinuation(name, stored(continuation, name))), bounded);
    }),
    { numRuns: 3_000 },
  );
});

test("law 13: text from outside is data: no field of a continuation can forge a heading or a checkbox", () => {
  fc.assert(
    fc.property(anyContinuation, fc.oneof(line, fc.string()), (continuation, name) => {
      const markdown = renderContinuation(name, stored(continuation, name));
      const lines = markdown.split("\n");
      const steps = boundContinuation(continuation).progress.length;
      const boxes = lines.filter((each) => /^[\s>]*(?:(?:[-*+>]|\d+[.)])\s+)+\[[ xX]?\]/.test(each));
      assert.equal(lines.filter((each) => /^[\s>]*(?:(?:[-*+>]|\d+[.)])\s+)*#{1,6}(\s|$)/.test(each)).length, 7);
      assert.equal(boxes.length, steps);
      assert.equal(lines.filter((each) => /^\s*(=+|-+|```.*|~~~.*|<.*)$/.test(each)).length, 0);
      assert.equal(lines.filter((each) => /^\s*key decisions\s*:/i.test(each)).length, 1);
      assert.doesNotMatch(markdown, /[\r\u2028\u2029\u202A-\u202E\u200B\u{E0000}-\u{E007F}]/u);
    }),
    { numRuns: 2_000 },
  );
});

test("the whole stays under 20,000 characters and says what was left out", () => {
  const worst = "#\n".repeat(20_000);
  const many = Array.from({ length: 200 }, (_, i) => `${i} ${"[x] ".repeat(500)}`);
  const huge: Continuation = {
    currentTask: worst,
    progress: many.map((words, i) => ({ done: i < 180, text: words })),
    context: worst,
    keyDecisions: many,
    blockers: many,
    nextAction: worst,
    references: many,
  };
  const markdown = renderContinuation("x".repeat(5_000), stored(huge, "y".repeat(5_000)));
  assert.ok(markdown.length < CONTINUATION_LIMIT, `${markdown.length} characters`);
  assert.match(markdown, /more left out/);
  assert.match(markdown, /shortened: \d+ more characters/);
  assert.equal(boundContinuation(huge).progress.filter((step) => !step.done).length, 20, "open steps are kept");
  assert.deepEqual(parseContinuation(markdown), boundContinuation(huge));
});

test("a session that died without a word leaves a hand-over made from what was seen", () => {
  const made = continuationFromObservation({
    taskName: "T12",
    description: "Add a progress bar",
    agent: "claude",
    branch: "cto/T12",
    ending: "the session ended with exit code 137",
    commits: [{ hash: "a".repeat(40), subject: "Draw the bar" }],
    files: [{ path: "src/bar.py\n## Blockers", added: 3, removed: 1 }],
    lastProgress: "half way",
    lastCheck: { outcome: "failed", command: "pytest", tail: "1 failed" },
  });
  const markdown = renderContinuation("Antenna", stored(made, "hub"));
  assert.match(markdown, /^## Current Task\nT12: Add a progress bar$/m);
  assert.match(markdown, /^- \[x\] aaaaaaaaaa Draw the bar\n- \[ \] Last reported: half way$/m);
  assert.match(markdown, /exit code 137/);
  assert.match(markdown, /^- src\/bar\.py ## Blockers \(\+3 -1\)$/m);
  assert.match(markdown, /^## Blockers\n- The check `pytest` ended failed: 1 failed$/m);
  assert.match(markdown, /^## Next Action\nMend what stands under Blockers/m);
  assert.deepEqual(parseContinuation(markdown), made);
});
