.git
dist
