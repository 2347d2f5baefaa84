/dist/
*.test
*.out
