FROM python:3.13-slim-bookworm
WORKDIR /app
COPY service.py .
USER nobody
EXPOSE [[ port | default(8080) ]]
CMD ["python3", "service.py"]
