// The rights of the people who run verbs at a shell: those of the app at the recordings, the ledger and the audit log. A role
// assigned here stays when its principal is removed from the parameter.
import { resourceNames } from '../types.bicep'

@description('Names of the resources.')
param names resourceNames

@description('GUID of the role at the container of the recordings.')
param recordingsRole string

@description('Object ids of operators.')
param operators string[]

@description('Storage Blob Data Contributor: reads, writes and deletes blobs; writes neither tags nor policies.')
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

@description('Storage Blob Data Reader.')
var blobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

resource recordings 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.recordings}'
}

resource ledger 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.ledger}'
}

resource audit 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.audit}'
}

resource undelivered 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${names.vaultStorage}/default/${names.undelivered}'
}

resource onRecordings 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in operators: {
    name: guid(recordings.id, principalId, recordingsRole)
    scope: recordings
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', recordingsRole)
      principalId: principalId
    }
  }
]

resource onLedger 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in operators: {
    name: guid(ledger.id, principalId, blobDataContributor)
    scope: ledger
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
      principalId: principalId
    }
  }
]

resource onAudit 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in operators: {
    name: guid(audit.id, principalId, blobDataContributor)
    scope: audit
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
      principalId: principalId
    }
  }
]

// For `recording-vault replay`.
resource onUndelivered 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in operators: {
    name: guid(undelivered.id, principalId, blobDataReader)
    scope: undelivered
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataReader)
      principalId: principalId
    }
  }
]
