{{- define "reconciler.podLabels" -}}
{{- include "reconciler.labels" . }}
{{- if .Values.azure.clientId }}
azure.workload.identity/use: "true"
{{- end }}
{{- end }}

{{/* Settings are read once, when the daemon starts; documents whenever they change. */}}
{{- define "reconciler.podAnnotations" -}}
checksum/settings: {{ include "reconciler.settings" . | sha256sum | quote }}
{{- if and (eq .Values.desiredState.source "git") .Values.azure.clientId }}
azure.workload.identity/skip-containers: git-sync;git-clone
{{- end }}
{{- end }}

{{- define "reconciler.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "reconciler.desiredVolume" -}}
{{- $state := .Values.desiredState -}}
- name: desired
  {{- if eq $state.source "documents" }}
  configMap:
    name: {{ include "reconciler.fullname" . }}-documents
    items:
      {{- range $name, $_ := $state.documents }}
      - key: {{ include "reconciler.key" $name }}
        path: {{ $name }}
      {{- end }}
  {{- else if eq $state.source "configMap" }}
  configMap:
    name: {{ $state.configMap }}
  {{- else if eq $state.source "claim" }}
  persistentVolumeClaim:
    claimName: {{ $state.claim.name }}
    readOnly: true
  {{- else }}
  emptyDir:
    sizeLimit: 1Gi
  {{- end }}
{{- end }}

{{/* git-sync, twice: once before the daemon starts, so that it never sees an empty folder, and then beside it. */}}
{{- define "reconciler.gitSync" -}}
{{- $git := .context.Values.desiredState.git -}}
name: {{ .name }}
image: {{ include "reconciler.image" (dict "image" $git.image "otherwise" "") }}
imagePullPolicy: {{ .context.Values.image.pullPolicy }}
env:
  - name: GITSYNC_REPO
    value: {{ $git.repository | quote }}
  - name: GITSYNC_REF
    value: {{ $git.ref | quote }}
  - name: GITSYNC_ROOT
    value: /desired
  - name: GITSYNC_LINK
    value: current
  - name: GITSYNC_DEPTH
    value: "1"
  - name: GITSYNC_SUBMODULES
    value: "off"
  - name: GITSYNC_PERIOD
    value: {{ printf "%ds" (int $git.periodSeconds) }}
  {{- if .once }}
  - name: GITSYNC_ONE_TIME
    value: "true"
  {{- else }}
  # A server that is away is no reason to restart: what was fetched last goes on being held to.
  - name: GITSYNC_MAX_FAILURES
    value: "-1"
  {{- end }}
  - name: HOME
    value: /tmp
  {{- range $name, $value := $git.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- if $git.ssh }}
  # Newer versions tell by the URL; older ones of v4 have to be told.
  - name: GITSYNC_SSH
    value: "true"
  - name: GITSYNC_SSH_KEY_FILE
    value: /etc/git-secret/ssh
  - name: GITSYNC_SSH_KNOWN_HOSTS_FILE
    value: /etc/git-secret/known_hosts
  {{- else if $git.secret }}
  - name: GITSYNC_USERNAME
    valueFrom:
      secretKeyRef:
        name: {{ $git.secret }}
        key: username
  - name: GITSYNC_PASSWORD
    valueFrom:
      secretKeyRef:
        name: {{ $git.secret }}
        key: password
  {{- end }}
securityContext:
  # The user that its image knows: ssh refuses to work for one that has no name.
  runAsUser: 65533
  {{- include "reconciler.containerSecurity" .context | nindent 2 }}
resources:
  {{- toYaml $git.resources | nindent 2 }}
volumeMounts:
  - name: desired
    mountPath: /desired
  - name: git-tmp
    mountPath: /tmp
  {{- if $git.ssh }}
  - name: git-secret
    mountPath: /etc/git-secret
    readOnly: true
  {{- end }}
{{- end }}
