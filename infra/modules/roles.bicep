// The rights of the two identities: on each resource the smallest sufficient role, and nothing above that resource.
import { resourceNames } from '../types.bicep'

@description('Names of the resources.')
param names resourceNames

@description('GUID of the role at the container of the recordings.')
param recordingsRole string

@description('Whether a queue of the host storage is written and read.')
param usesExportQueue bool

// Storage Blob Data Owner: the Functions host requires it for its own storage (leases, timers, keys). Contributor is not
// documented to be enough there. No table role: there are no blob triggers.
@description('Storage Blob Data Owner.')
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

@description('Storage Blob Data Contributor: reads, writes and deletes blobs; writes neither tags nor policies.')
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

@description('Storage Queue Data Contributor: sends messages, creates the queue, and lets the host read it and its poison queue.')
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'

@description('Monitoring Metrics Publisher: the one role that lets an identity send to Application Insights.')
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource runtime 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.identity
}

resource deployment 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.deploymentIdentity
}

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: names.hostStorage
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.packageStorage}/default/${names.packageContainer}'
}

resource recordings 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.recordings}'
}

resource ledger 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.ledger}'
}

resource audit 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.audit}'
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: names.insights
}

resource onHostStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostStorage.id, runtime.id, blobDataOwner)
  scope: hostStorage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (usesExportQueue) {
  name: guid(hostStorage.id, runtime.id, queueDataContributor)
  scope: hostStorage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', queueDataContributor)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onRecordings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(recordings.id, runtime.id, recordingsRole)
  scope: recordings
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', recordingsRole)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onLedger 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(ledger.id, runtime.id, blobDataContributor)
  scope: ledger
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

// The policy of the container, not the role, prevents changes to documents.
resource onAudit 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(audit.id, runtime.id, blobDataContributor)
  scope: audit
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, runtime.id, monitoringMetricsPublisher)
  scope: insights
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource onPackage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(package.id, deployment.id, blobDataContributor)
  scope: package
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: deployment.properties.principalId
    principalType: 'ServicePrincipal'
  }
}
