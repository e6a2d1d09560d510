{{- define "reconciler.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Leaves room for the longest suffix that is put behind it. */}}
{{- define "reconciler.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "reconciler.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "reconciler.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects pods can never be changed on a Deployment that is there: nothing that a new version changes. */}}
{{- define "reconciler.selector" -}}
app.kubernetes.io/name: {{ include "reconciler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "reconciler.labels" -}}
{{ include "reconciler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What users add to a mapping of the chart's own, which wins where both have a key: none may be there twice. */}}
{{- define "reconciler.laidUnder" -}}
{{- toYaml (merge (fromYaml .own) (deepCopy .more)) }}
{{- end }}

{{- define "reconciler.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "reconciler.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Where the webhook of workload identity looks for whose the service account is. */}}
{{- define "reconciler.identity" -}}
{{- with .Values.azure.clientId }}
azure.workload.identity/client-id: {{ . | quote }}
{{- end }}
{{- with .Values.azure.tenantId }}
azure.workload.identity/tenant-id: {{ . | quote }}
{{- end }}
{{- end }}

{{/* An image by its digest where there is one, else by its tag. */}}
{{- define "reconciler.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (default .otherwise .image.tag) }}
{{- end }}
{{- end }}

{{- define "reconciler.journal" -}}
{{- include "reconciler.fullname" . }}-journal
{{- end }}

{{- define "reconciler.pauses" -}}
{{- include "reconciler.fullname" . }}-pauses
{{- end }}

{{/* Whether a sink of alerts writes Events: then, and only then, the pod may. */}}
{{- define "reconciler.writesEvents" -}}
{{- range .Values.alerts }}{{ if eq .sink "events" }}true{{ end }}{{ end }}
{{- end }}

{{/* The name of a document's file as the key of a ConfigMap, which may hold no slash. */}}
{{- define "reconciler.key" -}}
{{- replace "/" "__" . }}
{{- end }}

{{/* Where the documents are in the pod. */}}
{{- define "reconciler.sources" -}}
{{- $state := .Values.desiredState }}
{{- if eq $state.source "git" }}
{{- printf "/desired/current/%s" $state.git.path | trimSuffix "/" }}
{{- else if eq $state.source "claim" }}
{{- printf "/desired/%s" $state.claim.path | trimSuffix "/" }}
{{- else }}
{{- "/desired" }}
{{- end }}
{{- end }}
