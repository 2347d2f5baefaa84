.git
.devstream
tests
