FROM maven:3.9-eclipse-temurin-25 AS build
WORKDIR /src
COPY pom.xml .
RUN mvn --batch-mode dependency:go-offline
COPY src ./src
RUN mvn --batch-mode --define skipTests package

FROM eclipse-temurin:25-jre-noble
WORKDIR /app
COPY --from=build /src/target/app.jar app.jar
USER 65534:65534
EXPOSE [[ port | default(8080) ]]
ENTRYPOINT ["java", "-jar", "app.jar"]
