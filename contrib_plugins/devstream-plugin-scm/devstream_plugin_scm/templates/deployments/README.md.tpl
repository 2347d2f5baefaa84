# [[ AppName ]]

What runs in the cluster. A controller there (Argo CD, Flux) follows the branch [[ Repo.Branch ]]; people change it by pull requests.

```
kubectl kustomize .                 # what would be applied
kubectl diff -k .                   # what would change in the cluster
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
