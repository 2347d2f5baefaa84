.git
target
