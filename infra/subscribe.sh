#!/bin/sh
# The second phase of a deployment: creates the Event Grid subscription, once the function exists, or updates it.
# azd runs it after each deployment of the code with its variables; if you run it by hand, set them yourself. You can repeat
# it safely. With --if-subscribed it only updates the subscription: azd runs that after each deployment of the infrastructure,
# so that a change of AUTO_RECORD reaches the subscription too.
set -eu
cd "$(dirname "$0")"

case "${1:-}" in
    '' | --if-subscribed) ;;
    *) echo "usage: $0 [--if-subscribed]" >&2; exit 64 ;;
esac

for name in AZURE_LOCATION AZURE_RESOURCE_GROUP FUNCTION_APP_NAME ACS_NAME ACS_RESOURCE_GROUP VAULT_STORAGE_NAME DEAD_LETTER_CONTAINER; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || { echo "$name is not set" >&2; exit 64; }
done

# The Azure CLI and azd each have a subscription of their own.
az() {
    command az "$@" ${AZURE_SUBSCRIPTION_ID:+--subscription "$AZURE_SUBSCRIPTION_ID"}
}

# Lists as TSV. On Windows the Azure CLI ends lines with a carriage return.
listed() {
    found=$(az "$@" --output tsv) || return
    printf '%s\n' "$found" | tr -d '\r'
}

lower() {
    printf %s "$1" | tr '[:upper:]' '[:lower:]'
}

# The topic that the template creates; a resource can have only one, and it may have one already.
created=$(printf %.50s "evgt-$ACS_NAME")
topic=${ACS_SYSTEM_TOPIC:-$created}
topics=$(listed eventgrid system-topic list --resource-group "$ACS_RESOURCE_GROUP" --query '[].[name, source]')
acs=$(lower "/resourceGroups/$ACS_RESOURCE_GROUP/providers/Microsoft.Communication/communicationServices/$ACS_NAME")
of_acs=$(printf '%s\n' "$topics" | awk -F '\t' -v acs="$acs" \
    '{ source = tolower($2) } substr(source, length(source) - length(acs) + 1) == acs { print $1 }')
if [ -n "$of_acs" ] && [ "$(lower "$of_acs")" != "$(lower "$topic")" ]; then
    cat >&2 <<END
$ACS_NAME has the system topic $of_acs, and a resource can have only one. Enable its identity, and name it:
  az eventgrid system-topic update --resource-group $ACS_RESOURCE_GROUP --name $of_acs --identity systemassigned
  azd env set ACS_SYSTEM_TOPIC $of_acs     # without azd: export ACS_SYSTEM_TOPIC=$of_acs
Then run the same command again.
END
    # --if-subscribed updates only a subscription of the topic that the settings name.
    [ "${1:-}" = --if-subscribed ] || exit 1
    exit 0
fi

if [ "${1:-}" = --if-subscribed ]; then
    target=
    if [ -n "$of_acs" ]; then
        target=$(listed eventgrid system-topic event-subscription list --resource-group "$ACS_RESOURCE_GROUP" \
            --system-topic-name "$topic" --query "[?name=='recording-vault'].destination.resourceId")
    fi
    case "$(lower "$target")" in
        */sites/"$(lower "$FUNCTION_APP_NAME")"/functions/*) ;;
        *)
            echo "Event Grid does not deliver to the function of $FUNCTION_APP_NAME yet: azd deploy creates the subscription"
            exit 0
            ;;
    esac
fi

subscribe() {
    az deployment sub create --name recording-vault-subscription --location "$AZURE_LOCATION" --output none \
        --template-file subscription.bicep --parameters \
        acsName="$ACS_NAME" acsResourceGroupName="$ACS_RESOURCE_GROUP" \
        appResourceGroupName="$AZURE_RESOURCE_GROUP" functionAppName="$FUNCTION_APP_NAME" \
        deadLetterStorageName="$VAULT_STORAGE_NAME" deadLetterContainerName="$DEAD_LETTER_CONTAINER" \
        existingSystemTopicName="${ACS_SYSTEM_TOPIC:-}" autoRecord="${AUTO_RECORD:-}"
}

# A new function and a new role assignment take a minute to become effective everywhere.
for pause in 20 40 60 0; do
    if subscribe; then
        echo "Event Grid delivers to $FUNCTION_APP_NAME"
        exit 0
    fi
    sleep "$pause"
done
echo "The subscription was not created. Fix the errors above and run $0 again." >&2
exit 1
