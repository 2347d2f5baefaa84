FROM node:24-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package*.json ./
RUN if [ -f package-lock.json ]; then npm ci --omit=dev; else npm install --omit=dev; fi
COPY src ./src
USER 1000:1000
EXPOSE [[ port | default(8080) ]]
CMD ["node", "src/server.js"]
