apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: [[ namespace | default("apps") ]]
resources:
  - apps.yaml
