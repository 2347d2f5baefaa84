node_modules/
npm-debug.log
coverage/
