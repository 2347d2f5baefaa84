/target/
*.class
.idea/
*.iml
