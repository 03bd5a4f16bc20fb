{{- define "trimtab.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "trimtab.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "trimtab.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Cluster-wide names must differ between releases of the same name in two namespaces. */}}
{{- define "trimtab.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "trimtab.fullname" .) }}
{{- end }}

{{- define "trimtab.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trimtab.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trimtab.labels" -}}
{{- $own := dict
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "trimtab"
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- merge (fromYaml (include "trimtab.selectorLabels" .)) $own .Values.commonLabels | toYaml }}
{{- end }}

{{- define "trimtab.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "trimtab.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "trimtab.image" -}}
{{- $name := .Values.image.repository }}
{{- if .Values.image.registry }}
{{- $name = printf "%s/%s" .Values.image.registry $name }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* Rights on what is in a namespace. The only objects that are ever deleted are our own finished runs. */}}
{{- define "trimtab.rules" -}}
- apiGroups: [trimtab.dev]
  resources: [performancepolicies]
  verbs: [get, list, watch]
- apiGroups: [trimtab.dev]
  resources: [optimizationruns]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [trimtab.dev]
  resources: [performancepolicies/status, optimizationruns/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, patch]
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
# Asked for only where their definitions are: what they own is left to them.
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [list]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch, list]
# Why a change on trial does not reach its pods, and what happens to those that run it: read for such workloads alone.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list]
- apiGroups: [""]
  resources: [resourcequotas]
  verbs: [list]
{{- end }}

{{- /* Taking a lease and keeping it; making one cannot be limited to a name. */}}
{{- define "trimtab.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ . }}]
  verbs: [get, update]
{{- end }}

{{- /* Name of the claim of the store. */}}
{{- define "trimtab.claimName" -}}
{{- default (printf "%s-store" (include "trimtab.fullname" .)) .Values.store.persistence.existingClaim }}
{{- end }}

{{- /* The pod's security context; a claimed volume belongs to root until it is given to the user of the image. */}}
{{- define "trimtab.podSecurityContext" -}}
{{- $own := dict }}
{{- if and .Values.store.persistence.enabled (hasPrefix "sqlite" .Values.store.url) }}
{{- $own = dict "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" }}
{{- end }}
{{- merge (deepCopy .Values.podSecurityContext) $own | toYaml }}
{{- end }}

{{- /* Whether the store is one file on a claimed volume. */}}
{{- define "trimtab.hasClaim" -}}
{{- and .Values.store.persistence.enabled (hasPrefix "sqlite" .Values.store.url) }}
{{- end }}
