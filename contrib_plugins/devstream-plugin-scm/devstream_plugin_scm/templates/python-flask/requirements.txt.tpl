flask>=3.1,<4
gunicorn>=27,<28
