{
  "name": [[ AppName | lower | tojson ]],
  "version": "0.1.0",
  "private": true,
  "description": "A web service with Express.",
  "main": "src/server.js",
  "scripts": {
    "start": "node src/server.js",
    "test": "node --test"
  },
  "engines": {
    "node": ">=20"
  },
  "dependencies": {
    "express": "^5.1.0"
  }
}
