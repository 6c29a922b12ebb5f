{{- define "podroutes.selector" -}}
app.kubernetes.io/name: podroutes
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "podroutes.labels" -}}
{{ include "podroutes.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* ADDRESS:PORT, an IPv6 address in brackets. */ -}}
{{- define "podroutes.listen" -}}
{{- $address := .Values.listen.address -}}
{{ contains ":" $address | ternary (printf "[%s]" $address) $address }}:{{ .Values.listen.port }}
{{- end }}

{{- /* Where the kubelet, which shares the node's network, finds what listens there. */ -}}
{{- define "podroutes.probed" -}}
{{- get (dict "0.0.0.0" "127.0.0.1" "::" "::1") .Values.listen.address | default .Values.listen.address -}}
{{- end }}

{{- /* The name of what lies outside of the release's namespace, so that two releases do not share it. */ -}}
{{- define "podroutes.clusterwide" -}}
{{ contains "podroutes" .Release.Name | ternary .Release.Name (printf "%s-podroutes" .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end }}
