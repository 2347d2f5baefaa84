.git
node_modules
test
