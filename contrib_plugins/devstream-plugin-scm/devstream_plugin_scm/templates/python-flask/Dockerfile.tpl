FROM python:3.14-slim-trixie
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY app.py .
USER 65534:65534
EXPOSE [[ port | default(8080) ]]
CMD ["gunicorn", "--bind", "0.0.0.0:[[ port | default(8080) ]]", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", "app:create_app()"]
