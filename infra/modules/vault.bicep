// The containers of the vault's account, and how long deleted or replaced files there can be restored.

@description('Account of the recordings, the ledger and the audit log.')
param vaultStorageName string

@description('Container of the recordings.')
param recordingsName string

@description('Container of the ledger.')
param ledgerName string

@description('Container of the audit log.')
param auditName string

@description('Container of the events that could not be delivered.')
param undeliveredName string

@description('Days for which deleted and replaced files can be restored.')
param undeleteDays int

@description('Whether the container of the recordings has version-level immutability.')
param isImmutable bool

@description('Days for which a document of the audit log can be neither changed nor deleted.')
param auditRetentionDays int

@description('Whether the policy of the audit log is locked: then Azure rejects writes to it.')
param isAuditPolicyLocked bool

resource vault 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: vaultStorageName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = {
  parent: vault
  name: 'default'
  properties: {
    // Version-level immutability needs versions.
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: undeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: undeleteDays }
  }
}

resource recordings 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: blobs
  name: recordingsName
  properties: {
    publicAccess: 'None'
    immutableStorageWithVersioning: { enabled: isImmutable }
  }
}

resource ledger 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: blobs
  name: ledgerName
  properties: { publicAccess: 'None' }
}

// Each document of the audit log is created once; documents that change are in the ledger.
resource audit 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: blobs
  name: auditName
  properties: { publicAccess: 'None' }
}

// Unlocked: a template can neither lock it nor write it again once it is locked.
resource auditPolicy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-08-01' = if (!isAuditPolicyLocked) {
  parent: audit
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: auditRetentionDays
    allowProtectedAppendWrites: false
  }
}

// `recording-vault replay` reads it.
resource undelivered 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: blobs
  name: undeliveredName
  properties: { publicAccess: 'None' }
}

// The ledger's entries are replaced often, and files that VAULT_RETENTION deletes must not stay as previous versions. A
// version that this rule deletes is soft-deleted for another undeleteDays.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-08-01' = {
  parent: vault
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
