{{/* The rules of files/rules.yaml with three intervals of this release in place of those of the usual one. */}}
{{- define "reconciler.rules" -}}
{{- $silence := max 180 (mul 3 (int .Values.intervalSeconds)) | toString }}
{{- $rules := .Files.Get "files/rules.yaml" | replace "180" $silence | fromYaml }}
{{- if eq .Values.prometheusRule.alerts "dead" }}
{{- $_ := set $rules "groups" (list (first $rules.groups)) }}
{{- end }}
{{- toYaml $rules }}
{{- end }}
