"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { GREETING, answer } = require("../src/answers");

test("it greets", () => {
  assert.deepEqual(answer("GET", "/"), { status: 200, body: { message: GREETING } });
});

test("it is healthy", () => {
  assert.deepEqual(answer("GET", "/healthz"), { status: 200, body: { status: "ok" } });
});

test("it does not know everything", () => {
  assert.equal(answer("GET", "/nothing").status, 404);
  assert.equal(answer("DELETE", "/").status, 405);
});
