// Logs of who read, wrote and deleted in the storage accounts, sent to the workspace.
//
// The linter asks for 2016-09-01 of diagnosticSettings, the only version without "preview". It is older and has no settings
// for the services of a storage account.
import { resourceNames } from '../types.bicep'

@description('Names of the resources.')
param names resourceNames

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: names.workspace
}

resource vaultBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' existing = {
  name: '${names.vaultStorage}/default'
}

resource packageBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' existing = {
  name: '${names.packageStorage}/default'
}

resource hostBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' existing = {
  name: '${names.hostStorage}/default'
}

#disable-next-line use-recent-api-versions
resource vaultLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'recording-vault'
  scope: vaultBlobs
  properties: {
    workspaceId: workspace.id
    logs: [
      { category: 'StorageRead', enabled: true }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
  }
}

// A replaced package is replaced code.
#disable-next-line use-recent-api-versions
resource packageLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'recording-vault'
  scope: packageBlobs
  properties: {
    workspaceId: workspace.id
    logs: [
      { category: 'StorageRead', enabled: true }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
  }
}

// No reads and writes: the host renews its leases every few seconds.
#disable-next-line use-recent-api-versions
resource hostLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'recording-vault'
  scope: hostBlobs
  properties: {
    workspaceId: workspace.id
    logs: [{ category: 'StorageDelete', enabled: true }]
  }
}
