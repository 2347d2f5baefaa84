FROM python:3.14-slim-trixie
WORKDIR /app
COPY service.py .
USER 65534:65534
EXPOSE [[ port | default(8080) ]]
CMD ["python3", "service.py"]
