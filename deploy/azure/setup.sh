#!/usr/bin/env bash
# Sets up in Azure what a release of the chart needs: an identity, its federation with the service account, a role of
# exactly what reconciler does, and its assignment. What is there already stays or is brought up to date.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
location=westeurope
name=reconciler
namespace=reconciler
account=""
role=writer
scopes=()
subscription=""
group=""
cluster=""
cluster_group=""
dry_run=false
assume_yes=false

usage() {
  cat <<'TEXT'
usage: setup.sh --subscription ID --group NAME --cluster NAME [options]

  --subscription ID         the subscription of the identity and of the cluster
  --group NAME              the resource group of the identity; made if it is not there
  --cluster NAME            the AKS cluster, with its OIDC issuer and workload identity switched on
  --cluster-group NAME      its resource group (default: that of the identity)
  --scope ID                where the role is assigned, as often as needed: /subscriptions/ID or one of its groups
                            (default: the subscription); name all of them each time
  --role reader|writer      what it may do (default: writer; reader is for plans in pull requests)
  --name NAME               the name of the identity (default: reconciler)
  --namespace NAME          the namespace of the release (default: reconciler)
  --service-account NAME    its service account (default: the name of the identity)
  --location REGION         where the identity is made (default: westeurope)
  --dry-run                 only say what would be done
  --yes                     do not ask
TEXT
}

fail() {
  printf 'setup.sh: %s\n' "$1" >&2
  exit 1
}

while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) dry_run=true; shift; continue ;;
    --yes) assume_yes=true; shift; continue ;;
    -h | --help) usage; exit 0 ;;
  esac
  [[ $# -ge 2 ]] || fail "$1 needs a value; see --help"
  case $1 in
    --subscription) subscription=$2 ;;
    --group) group=$2 ;;
    --cluster) cluster=$2 ;;
    --cluster-group) cluster_group=$2 ;;
    --scope) scopes+=("$2") ;;
    --role) role=$2 ;;
    --name) name=$2 ;;
    --namespace) namespace=$2 ;;
    --service-account) account=$2 ;;
    --location) location=$2 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift 2
done

[[ -n $subscription ]] || fail "--subscription is missing: az account show --query id tells the current one"
[[ -n $group ]] || fail "--group is missing: the resource group that the identity is made in"
[[ -n $cluster ]] || fail "--cluster is missing: the name of the AKS cluster"
[[ $role == reader || $role == writer ]] || fail "--role is $role; it is reader or writer"
account=${account:-$name}
cluster_group=${cluster_group:-$group}
[[ ${#scopes[@]} -gt 0 ]] || scopes=("/subscriptions/$subscription")
for scope in "${scopes[@]}"; do
  [[ $scope == /subscriptions/* ]] || fail "--scope is $scope; it begins with /subscriptions/"
done

subject="system:serviceaccount:$namespace:$account"
definition="$here/roles/$role.json"
title=$(sed -n 's/^  "Name": "\(.*\)",$/\1/p' "$definition")

cat <<TEXT
This makes, or brings up to date, in subscription $subscription:
  - the resource group $group, if it is not there, and in it the managed identity $name
  - its federated credential $name, for $subject of the cluster $cluster
  - the custom role "$title", with the actions of $definition
  - the assignment of that role to the identity on
$(printf '      %s\n' "${scopes[@]}")
TEXT
if [[ $dry_run == true ]]; then
  exit 0
fi
command -v az >/dev/null || fail "az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli"
if [[ $assume_yes == false ]]; then
  read -r -p "Go on? [y/N] " answer || answer=""
  [[ $answer == y || $answer == Y ]] || fail "nothing was done"
fi

azure() {
  az "$@" --subscription "$subscription" --only-show-errors
}

issuer=$(azure aks show --name "$cluster" --resource-group "$cluster_group" --query oidcIssuerProfile.issuerUrl --output tsv)
[[ $issuer == https://* ]] || fail "the cluster $cluster has no OIDC issuer: az aks update --name $cluster --resource-group $cluster_group --enable-oidc-issuer --enable-workload-identity"

if [[ $(azure group exists --name "$group") == false ]]; then
  azure group create --name "$group" --location "$location" --output none
fi
# Creating one that is there changes nothing.
azure identity create --name "$name" --resource-group "$group" --location "$location" --output none
client=$(azure identity show --name "$name" --resource-group "$group" --query clientId --output tsv)
principal=$(azure identity show --name "$name" --resource-group "$group" --query principalId --output tsv)
tenant=$(azure identity show --name "$name" --resource-group "$group" --query tenantId --output tsv)

azure identity federated-credential create --name "$name" --identity-name "$name" --resource-group "$group" \
  --issuer "$issuer" --subject "$subject" --audiences api://AzureADTokenExchange --output none

# A role may be assigned in the subscriptions that it names: every one of the scopes.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
assignable=$(printf '%s\n' "${scopes[@]}" | sed 's#^\(/subscriptions/[^/]*\).*#\1#' | sort -u | sed 's/.*/"&"/' | paste -sd , -)
# Azure refuses a whole role for one action that it does not list, and it lists some later than it checks them.
sed -n 's#^    "\(Microsoft[^/]*\)/.*#\1#p' "$definition" | sort -u >"$work/namespaces"
while read -r namespace; do
  azure provider operation show --namespace "$namespace" \
    --query '[operations[].name, resourceTypes[].operations[].name][]' --output tsv </dev/null >>"$work/known"
done <"$work/namespaces"
awk -v known="$work/known" '
  BEGIN { while ((getline line < known) > 0) listed[tolower(line)] = 1 }
  /^    "Microsoft/ {
    action = $0
    gsub(/[ ",]/, "", action)
    if (tolower(action) in listed) { printf "%s    \"%s\"", separator, action; separator = ",\n" }
    else { print "setup.sh: Azure lists no action " action ": the role goes without it, and what takes it will be refused" > "/dev/stderr" }
    next
  }
  /^  \]/ && separator { print ""; separator = "" }
  { print }
' "$definition" | sed "s#\"/subscriptions/SUBSCRIPTION_ID\"#$assignable#" >"$work/role.json"
if [[ -z $(azure role definition list --name "$title" --custom-role-only true --query '[].name' --output tsv) ]]; then
  azure role definition create --role-definition "@$work/role.json" --output none
else
  azure role definition update --role-definition "@$work/role.json" --output none
fi

for scope in "${scopes[@]}"; do
  # A role and an identity that were made just now are not known everywhere yet.
  for attempt in 1 2 3 4 5 6; do
    if azure role assignment create --role "$title" --assignee-object-id "$principal" \
      --assignee-principal-type ServicePrincipal --scope "$scope" --output none; then
      break
    fi
    [[ $attempt -lt 6 ]] || fail "the role could not be assigned on $scope; run this again in some minutes"
    sleep 10
  done
done

cat <<TEXT

Done. Values of the chart:
  azure:
    clientId: $client
    tenantId: $tenant
  serviceAccount:
    name: $account
TEXT
