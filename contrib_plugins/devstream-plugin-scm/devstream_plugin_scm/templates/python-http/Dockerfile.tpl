FROM python:3.12-slim
WORKDIR /app
COPY service.py .
USER nobody
EXPOSE [[ port | default(8080) ]]
CMD ["python3", "service.py"]
