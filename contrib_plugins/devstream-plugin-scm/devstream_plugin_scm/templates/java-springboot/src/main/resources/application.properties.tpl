spring.application.name=[[ AppName ]]
server.port=${PORT:[[ port | default(8080) ]]}
server.shutdown=graceful
management.endpoints.web.base-path=/
management.endpoints.web.path-mapping.health=healthz
management.endpoints.web.exposure.include=health
