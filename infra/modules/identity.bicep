// The app's identity and its rights: at each place the least built-in role that does, and nothing above that place.
param location string
param tags object
param suffix string
param hostStorageName string
param vaultStorageName string
param vaultContainerName string
param ledgerContainerName string
@description('Whether index tags, retention policies or legal holds are written with the files.')
param writesTagsOrPolicies bool
@description('Whether a queue of the host storage is sent to and read.')
param exportQueue bool
param applicationInsightsName string

// Storage Blob Data Owner: what the Functions host asks for on its own storage (leases, timers, the zip). Contributor
// is not documented to be enough there. No table role: there are no blob triggers.
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
// Storage Blob Data Contributor: reads, writes and deletes blobs, in these two containers only. It may write neither
// index tags nor retention policies nor legal holds; with VAULT_TAGS, VAULT_IMMUTABLE_FOR or VAULT_LEGAL_HOLD the
// container of the recordings needs Owner.
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
// Storage Queue Data Contributor: sends messages, makes the queue, and lets the host read it and its poison queue.
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
// Monitoring Metrics Publisher: the one role that lets an identity send to Application Insights.
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${suffix}'
  location: location
  tags: tags
}

resource hostStorage 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: hostStorageName
}

resource recordings 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  name: '${vaultStorageName}/default/${vaultContainerName}'
}

resource ledger 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  name: '${vaultStorageName}/default/${ledgerContainerName}'
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource onHostStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostStorage.id, identity.id, blobDataOwner)
  scope: hostStorage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (exportQueue) {
  name: guid(hostStorage.id, identity.id, queueDataContributor)
  scope: hostStorage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', queueDataContributor)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

var onRecordingsRole = writesTagsOrPolicies ? blobDataOwner : blobDataContributor

resource onRecordings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(recordings.id, identity.id, onRecordingsRole)
  scope: recordings
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', onRecordingsRole)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onLedger 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(ledger.id, identity.id, blobDataContributor)
  scope: ledger
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, identity.id, monitoringMetricsPublisher)
  scope: insights
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

output name string = identity.name
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
