flask>=3.1,<4
gunicorn>=23,<26
