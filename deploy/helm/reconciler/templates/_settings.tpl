{{/* The config file of the product. What the chart itself has to know is written here and nowhere else. */}}
{{- define "reconciler.settings" -}}
{{- $own := dict
  "sources" (list (include "reconciler.sources" .))
  "interval" (printf "%ds" (int .Values.intervalSeconds))
  "grace" (printf "%ds" (int .Values.graceSeconds))
  "listen" (printf "0.0.0.0:%d" (int .Values.service.port))
  "lease" "kubernetes"
  "leaseName" (include "reconciler.fullname" .)
  "journalMap" (include "reconciler.journal" .)
  "pauseMap" (include "reconciler.pauses" .)
}}
{{- with .Values.alerts }}{{ $_ := set $own "alerts" . }}{{ end }}
{{- toYaml (merge $own (deepCopy .Values.settings) (dict "logFormat" "json")) }}
{{- end }}
