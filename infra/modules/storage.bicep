// Two storage accounts, both without shared keys: what the Functions host writes is apart from the recordings.
param location string
param tags object
param suffix string
param vaultContainerName string
param vaultSku string
param undeleteDays int
param immutableVault bool

// Flex Consumption keeps the zip here, and the host its locks and the timer's state.
resource host 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: take('stfn${suffix}', 24)
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource package 'containers' = {
      name: 'app-package'
      properties: { publicAccess: 'None' }
    }
  }
}

resource vault 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: take('stvault${suffix}', 24)
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: vaultSku }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      // Version-level immutability asks for it too.
      isVersioningEnabled: true
      deleteRetentionPolicy: { enabled: true, days: undeleteDays }
      containerDeleteRetentionPolicy: { enabled: true, days: undeleteDays }
    }

    resource recordings 'containers' = {
      name: vaultContainerName
      properties: {
        publicAccess: 'None'
        immutableStorageWithVersioning: { enabled: immutableVault }
      }
    }

    resource ledger 'containers' = {
      name: '${vaultContainerName}-ledger'
      properties: { publicAccess: 'None' }
    }

    // What Event Grid could not deliver: `recording-vault replay` reads it.
    resource deadLetters 'containers' = {
      name: '${vaultContainerName}-undelivered'
      properties: { publicAccess: 'None' }
    }
  }

  // The ledger's entries are written over and over, and what VAULT_RETENTION deletes has to go at last.
  resource lifecycle 'managementPolicies' = {
    name: 'default'
    dependsOn: [blobs]
    properties: {
      policy: {
        rules: [
          {
            name: 'drop-previous-versions'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'] }
              actions: {
                version: { delete: { daysAfterCreationGreaterThan: undeleteDays } }
              }
            }
          }
        ]
      }
    }
  }
}

output hostStorageName string = host.name
output packageContainerName string = host::blobs::package.name
output vaultStorageName string = vault.name
output vaultContainerName string = vault::blobs::recordings.name
output ledgerContainerName string = vault::blobs::ledger.name
output deadLetterContainerName string = vault::blobs::deadLetters.name
output vaultUrl string = '${vault.properties.primaryEndpoints.blob}${vault::blobs::recordings.name}'
output ledgerUrl string = '${vault.properties.primaryEndpoints.blob}${vault::blobs::ledger.name}'
