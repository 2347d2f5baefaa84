apiVersion: v1
kind: Namespace
metadata:
  name: [[ namespace | default("apps") ]]
[% for app in apps | default([]) %]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: [[ app.name ]]
  labels:
    app.kubernetes.io/name: [[ app.name ]]
spec:
  replicas: [[ app.replicas | default(1) ]]
  selector:
    matchLabels:
      app.kubernetes.io/name: [[ app.name ]]
  template:
    metadata:
      labels:
        app.kubernetes.io/name: [[ app.name ]]
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: [[ app.name ]]
          image: [[ app.image ]]
          ports:
            - name: http
              containerPort: [[ app.port | default(8080) ]]
          readinessProbe:
            httpGet:
              path: /healthz
              port: http
          resources:
            requests:
              cpu: 50m
              memory: 64Mi
            limits:
              memory: 256Mi
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
---
apiVersion: v1
kind: Service
metadata:
  name: [[ app.name ]]
spec:
  selector:
    app.kubernetes.io/name: [[ app.name ]]
  ports:
    - name: http
      port: 80
      targetPort: http
[% endfor %]
