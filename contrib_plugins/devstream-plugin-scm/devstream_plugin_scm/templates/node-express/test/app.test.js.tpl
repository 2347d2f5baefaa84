"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const { test } = require("node:test");

const { createApp } = require("../src/app");
const { GREETING } = require("../src/answers");

test("it answers over HTTP", async () => {
  const server = createApp().listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const base = `http://127.0.0.1:${server.address().port}`;
    const greeting = await fetch(`${base}/`);
    assert.deepEqual(await greeting.json(), { message: GREETING });
    const missing = await fetch(`${base}/nothing`);
    assert.equal(missing.status, 404);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
