{{- define "fleet.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "fleet.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "fleet.labels" -}}
{{ include "fleet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Environment of a container: what the chart decides first, so that `env` may say otherwise; secrets last, so that it may not. */}}
{{- define "fleet.env" -}}
{{- $chart := dict "FLEET_ID" (required "fleetId: a name of this fleet, never shared by two" .root.Values.fleetId) -}}
{{- $all := mergeOverwrite $chart .decided (deepCopy .root.Values.env.common) (deepCopy .own) -}}
{{- range $name := keys $all | sortAlpha }}
- name: {{ $name }}
  value: {{ get $all $name | toString | quote }}
{{- end }}
{{- range $name := .secrets }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ required "secrets.existing: the Secret with REDIS_URL, TAVUS_API_KEY and API_KEYS" $.root.Values.secrets.existing }}, key: {{ $name }} } }
{{- end }}
{{- range $name := .maybe }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $.root.Values.secrets.existing }}, key: {{ $name }}, optional: true } }
{{- end }}
{{- end }}

{{- define "fleet.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Of a container: not root, nothing written but /tmp, no capability. */}}
{{- define "fleet.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "fleet.pod" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
{{- end }}

{{/* Spread over nodes: one that is lost takes as few calls as may be. */}}
{{- define "fleet.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "fleet.selector" . | nindent 6 }}
{{- end }}
