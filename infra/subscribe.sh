#!/bin/sh
# The second phase of a deployment: creates the Event Grid subscription, once the function exists.
# azd runs it after each deployment with its variables; if you run it by hand, set them yourself. You can repeat it safely.
set -eu
cd "$(dirname "$0")"

for name in AZURE_LOCATION AZURE_RESOURCE_GROUP FUNCTION_APP_NAME ACS_NAME ACS_RESOURCE_GROUP VAULT_STORAGE_NAME DEAD_LETTER_CONTAINER; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || { echo "$name is not set" >&2; exit 64; }
done

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
