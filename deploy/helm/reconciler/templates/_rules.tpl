{{/* The rules of files/rules.yaml with the silence of this release in place of the usual one, and with the place in the
runbook, where there is one. */}}
{{- define "reconciler.rules" -}}
{{- $silence := int .Values.prometheusRule.silenceSeconds | default (max 180 (mul 3 (int .Values.intervalSeconds))) | int }}
{{- $last := div $silence 3 }}
{{- $wait := sub $silence $last }}
{{- $rules := .Files.Get "files/rules.yaml" | replace "> 120" (printf "> %d" $wait) | replace "[120s]" (printf "[%ds]" $wait) }}
{{- $rules = fromYaml $rules }}
{{- range $rule := (first $rules.groups).rules }}
{{- $_ := set $rule "for" (printf "%ds" (ternary $last $silence (eq $rule.for "60s"))) }}
{{- end }}
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
