"use strict";

const GREETING = [[ greeting | default("Hello from " ~ AppName) | tojson ]];

/** Gives status and body for a request. */
function answer(method, path) {
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, body: { error: "method not allowed" } };
  }
  if (path === "/") {
    return { status: 200, body: { message: GREETING } };
  }
  if (path === "/healthz") {
    return { status: 200, body: { status: "ok" } };
  }
  return { status: 404, body: { error: "not found" } };
}

module.exports = { GREETING, answer };
