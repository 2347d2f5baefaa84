"use strict";

const express = require("express");
const { answer } = require("./answers");

/** Makes the application; tests make one each. */
function createApp() {
  const app = express();
  app.disable("x-powered-by");
  app.use((request, response) => {
    const { status, body } = answer(request.method, request.path);
    response.status(status).json(body);
  });
  return app;
}

module.exports = { createApp };
