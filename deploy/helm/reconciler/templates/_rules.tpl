{{/* The rules of files/rules.yaml with three intervals of this release in place of those of the usual one, and with the
place in the runbook, where there is one. */}}
{{- define "reconciler.rules" -}}
{{- $silence := max 180 (mul 3 (int .Values.intervalSeconds)) | toString }}
{{- $rules := .Files.Get "files/rules.yaml" | replace "180" $silence | fromYaml }}
{{- if eq .Values.prometheusRule.alerts "dead" }}
{{- $_ := set $rules "groups" (list (first $rules.groups)) }}
{{- end }}
{{- with .Values.settings.runbookUrl }}
{{- $page := trimSuffix "/" . }}
{{- range $group := $rules.groups }}
{{- range $rule := $group.rules }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s#%s" $page (lower $rule.alert)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $rules }}
{{- end }}
