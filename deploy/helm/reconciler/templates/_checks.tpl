{{/* What the schema cannot say: values that need each other. Each mistake is one sentence that says what would be right. */}}
{{- define "reconciler.checks" -}}
{{- $state := .Values.desiredState }}
{{- $wrong := list }}
{{- $name := include "reconciler.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- $wrong = append $wrong (printf "the Service would be called %s, but Kubernetes wants small letters, digits and -, and a letter first: give the release another name, or set fullnameOverride." $name) }}
{{- end }}
{{- if not .Values.image.repository }}
{{- $wrong = append $wrong "image.repository is empty: name the repository that the image was pushed to, such as example.azurecr.io/reconciler." }}
{{- end }}
{{- if and (eq $state.source "documents") (not $state.documents) }}
{{- $wrong = append $wrong "desiredState.documents is empty: write at least one document there, or set desiredState.source to configMap, git or claim." }}
{{- end }}
{{- if and (ne $state.source "documents") $state.documents }}
{{- $wrong = append $wrong (printf "desiredState.documents would not be read: desiredState.source is %s. Remove one of the two." $state.source) }}
{{- end }}
{{- if and (eq $state.source "configMap") (not $state.configMap) }}
{{- $wrong = append $wrong "desiredState.source is configMap: name it in desiredState.configMap." }}
{{- end }}
{{- if and (eq $state.source "claim") (not $state.claim.name) }}
{{- $wrong = append $wrong "desiredState.source is claim: name the volume claim in desiredState.claim.name." }}
{{- end }}
{{- if and (eq $state.source "git") (not $state.git.repository) }}
{{- $wrong = append $wrong "desiredState.source is git: name the repository in desiredState.git.repository." }}
{{- end }}
{{- if and $state.git.ssh (not $state.git.secret) }}
{{- $wrong = append $wrong "desiredState.git.ssh is true: name the Secret with the keys ssh and known_hosts in desiredState.git.secret." }}
{{- end }}
{{- if and .Values.azure.tenantId (not .Values.azure.clientId) }}
{{- $wrong = append $wrong "azure.tenantId is set alone: set azure.clientId, the client id of the identity that is federated with the service account." }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- $wrong = append $wrong "serviceAccount.create is false: name the service account that is there in serviceAccount.name." }}
{{- end }}
{{- $keys := dict }}
{{- range $name, $_ := $state.documents }}
{{- $key := include "reconciler.key" $name }}
{{- with get $keys $key }}
{{- $wrong = append $wrong (printf "desiredState.documents: %s and %s have one key in a ConfigMap, %s: rename one of the two." . $name $key) }}
{{- end }}
{{- $_ := set $keys $key $name }}
{{- end }}
{{- range $name := list "RECONCILER_CONFIG" "POD_NAME" "POD_UID" }}
{{- if hasKey $.Values.env $name }}
{{- $wrong = append $wrong (printf "%s is set by the chart itself: remove it from env." $name) }}
{{- end }}
{{- end }}
{{- range $name, $_ := $state.git.env }}
{{- if or (hasPrefix "GITSYNC_" $name) (eq $name "HOME") }}
{{- $wrong = append $wrong (printf "%s is set by the chart itself: remove it from desiredState.git.env." $name) }}
{{- end }}
{{- end }}
{{- range .Values.secrets }}
{{- if hasKey $.Values.env .name }}
{{- $wrong = append $wrong (printf "%s is set by env and by secrets: remove one of the two." .name) }}
{{- end }}
{{- end }}
{{- $set := dict }}
{{- range .Values.secrets }}{{ $_ := set $set .name true }}{{ end }}
{{- range $name, $_ := .Values.env }}{{ $_ := set $set $name true }}{{ end }}
{{- with .Values.settings.tokenVariable }}
{{- if not (hasKey $set .) }}
{{- $wrong = append $wrong (printf "settings.tokenVariable names %s, which nothing sets: add it to secrets." .) }}
{{- end }}
{{- end }}
{{- range $number, $sink := .Values.alerts }}
{{- range $key := list "urlVariable" "secretVariable" "tokenVariable" }}
{{- with get $sink $key }}
{{- if not (hasKey $set .) }}
{{- $wrong = append $wrong (printf "alerts[%d].%s names %s, which nothing sets: add it to secrets." $number $key .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if $wrong }}
{{- fail (printf "\n\n%s\n" (join "\n" $wrong)) }}
{{- end }}
{{- end }}
