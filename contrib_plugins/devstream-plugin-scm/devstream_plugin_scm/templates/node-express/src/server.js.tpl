"use strict";

const { createApp } = require("./app");

const port = Number(process.env.PORT || [[ port | default(8080) ]]);
const server = createApp().listen(port, () => console.log(`listening on port ${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => process.exit(0)));
}
