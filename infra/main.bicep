// Everything recording-vault needs in Azure but the event subscription: that one names a function, which has to be
// deployed first (subscription.bicep, the second phase).
//
// API versions are those of Microsoft's own samples, foremost
// https://github.com/Azure-Samples/azure-functions-flex-consumption-samples/tree/main/IaC/bicep
targetScope = 'subscription'

@description('Name of this deployment; names of resources are derived from it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region with Flex Consumption: az functionapp list-flexconsumption-locations')
param location string

@description('Resource group, made if it is not there; rg-<environmentName> unless given.')
param resourceGroupName string = ''

@description('Name of the Azure Communication Services resource whose recordings are kept.')
param acsName string

@description('Resource group of the Azure Communication Services resource.')
param acsResourceGroupName string

@description('Container of the recordings; the ledger is beside it, <name>-ledger.')
@minLength(3)
@maxLength(56)
param vaultContainerName string = 'recordings'

@description('Redundancy of the storage account that keeps the recordings.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param vaultSku string = 'Standard_ZRS'

@description('Days for which deleted and replaced files can be brought back; then they are gone for good.')
@minValue(1)
@maxValue(365)
param undeleteDays int = 14

@description('Version-level immutability for the container of the recordings. It cannot be switched off again.')
param immutableVault bool = false

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('How many instances there may be at most.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('Who gets the alerts: addresses, comma-separated; nobody, if it is empty.')
param alertEmails string = ''

@description('Days for which logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

// Settings of recording-vault; README.md says what each means. Empty: its default.
param exportSweepSchedule string = '0 * * * * *'
param requireConsent string = ''
param autoRecord string = ''
param autoRecordOptions string = ''
param missingAfter string = ''
@description('It may carry a SAS.')
@secure()
param backupVaultUrl string = ''
param verify string = ''
param onAnomaly string = ''
param onUnknownMedia string = ''
param vaultTier string = ''
param vaultTags bool = false
param vaultImmutableFor string = ''
param vaultLegalHold bool = false
param vaultRetention string = ''
@description('URLs of containers; they may carry a SAS.')
@secure()
param externalStorage string = ''
param deleteDelay string = ''
param logFormat string = ''
@secure()
param eventGridSecret string = ''
param eventGridAudience string = ''
param eventGridOpenIdUrl string = ''

@description('Whether the package has ExportChunk (cargo xtask package --export-queue), which reads a queue of the host storage.')
param exportQueue bool = false

@description('Any further settings of recording-vault, by name; there may be keys among them.')
@secure()
param otherSettings object = {}

var tags = { 'azd-env-name': environmentName }
var suffix = toLower(uniqueString(subscription().id, environmentName, location))

resource group 'Microsoft.Resources/resourceGroups@2022-09-01' = {
  name: empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
  location: location
  tags: tags
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'recording-vault-monitoring'
  scope: group
  params: {
    location: location
    tags: tags
    suffix: suffix
    retentionDays: logRetentionDays
  }
}

module storage 'modules/storage.bicep' = {
  name: 'recording-vault-storage'
  scope: group
  params: {
    location: location
    tags: tags
    suffix: suffix
    vaultContainerName: vaultContainerName
    vaultSku: vaultSku
    undeleteDays: undeleteDays
    immutableVault: immutableVault
  }
}

module identity 'modules/identity.bicep' = {
  name: 'recording-vault-identity'
  scope: group
  params: {
    location: location
    tags: tags
    suffix: suffix
    hostStorageName: storage.outputs.hostStorageName
    vaultStorageName: storage.outputs.vaultStorageName
    vaultContainerName: storage.outputs.vaultContainerName
    ledgerContainerName: storage.outputs.ledgerContainerName
    exportQueue: exportQueue
    writesTagsOrPolicies: vaultTags || vaultLegalHold || !empty(vaultImmutableFor)
    applicationInsightsName: monitoring.outputs.applicationInsightsName
  }
}

module acs 'modules/acs.bicep' = {
  name: 'recording-vault-acs'
  scope: resourceGroup(acsResourceGroupName)
  params: {
    acsName: acsName
    principalId: identity.outputs.principalId
  }
}

module app 'modules/app.bicep' = {
  name: 'recording-vault-app'
  scope: group
  params: {
    location: location
    tags: tags
    suffix: suffix
    identityName: identity.outputs.name
    hostStorageName: storage.outputs.hostStorageName
    packageContainerName: storage.outputs.packageContainerName
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    acsEndpoint: acs.outputs.endpoint
    acsImmutableId: acs.outputs.immutableId
    vaultUrl: storage.outputs.vaultUrl
    ledgerUrl: storage.outputs.ledgerUrl
    exportSweepSchedule: exportSweepSchedule
    requireConsent: requireConsent
    autoRecord: autoRecord
    autoRecordOptions: autoRecordOptions
    missingAfter: missingAfter
    backupVaultUrl: backupVaultUrl
    verify: verify
    onAnomaly: onAnomaly
    onUnknownMedia: onUnknownMedia
    vaultTier: vaultTier
    vaultTags: vaultTags
    vaultImmutableFor: vaultImmutableFor
    vaultLegalHold: vaultLegalHold
    vaultRetention: vaultRetention
    externalStorage: externalStorage
    deleteDelay: deleteDelay
    exportQueue: exportQueue
    logFormat: logFormat
    eventGridSecret: eventGridSecret
    eventGridAudience: eventGridAudience
    eventGridOpenIdUrl: eventGridOpenIdUrl
    otherSettings: otherSettings
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'recording-vault-alerts'
  scope: group
  params: {
    location: location
    tags: tags
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    emails: empty(alertEmails) ? [] : split(alertEmails, ',')
  }
}

// azd keeps these as variables for the second phase.
output AZURE_RESOURCE_GROUP string = group.name
output FUNCTION_APP_NAME string = app.outputs.name
output FUNCTION_APP_HOST string = app.outputs.hostName
output VAULT_STORAGE_NAME string = storage.outputs.vaultStorageName
output VAULT_URL string = storage.outputs.vaultUrl
output LEDGER_URL string = storage.outputs.ledgerUrl
output DEAD_LETTER_CONTAINER string = storage.outputs.deadLetterContainerName
output ACTION_GROUP_NAME string = alerts.outputs.actionGroupName
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
