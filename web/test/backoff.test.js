import assert from "node:assert/strict";
import { test } from "node:test";
import { RoundBudget, fullJitter } from "../backoff.js";

test("full jitter lies between 10 ms and the doubled base, capped", () => {
  const limits = { base: 100, cap: 60_000 };
  assert.equal(fullJitter(0, 5, limits), 10);
  assert.equal(fullJitter(0.5, 0, limits), 50);
  assert.equal(fullJitter(0.5, 2, limits), 200);
  assert.equal(fullJitter(0.999, 40, limits), 59_940);
});

test("two failed rounds are free, then 5, 15 and 60 seconds", () => {
  const budget = new RoundBudget();
  let now = 0;
  const waits = [];
  for (let round = 0; round < 5; round += 1) {
    waits.push(budget.wait(now));
    now += budget.wait(now);
    budget.failed(now);
  }
  assert.deepEqual(waits, [0, 0, 5_000, 15_000, 60_000]);
});

test("a success resets the budget, and so do two quiet minutes", () => {
  const budget = new RoundBudget();
  budget.failed(0);
  budget.failed(0);
  assert.equal(budget.wait(0), 5_000);
  assert.equal(budget.wait(120_000), 0);
  budget.succeeded();
  assert.equal(budget.wait(0), 0);
});
