// Three storage accounts without shared keys: the host's data and the deployed code are separate from the
// recordings.

@description('Region of the accounts.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Account of the Functions host.')
param hostStorageName string

@description('Account of the deployed package.')
param packageStorageName string

@description('Container of the deployed package.')
param packageContainerName string

@description('Account of the recordings, the ledger and the audit log.')
param vaultStorageName string

@description('Redundancy of the account of the recordings.')
param vaultSku string

@description('Whether the accounts are reached through private endpoints and the allowed addresses only.')
param isPrivate bool

@description('Addresses and ranges that reach the accounts from the Internet, comma-separated.')
param allowedAddresses string

@description('Whether a lock protects the account of the recordings from deletion.')
param isLocked bool

@description('Tags of each resource.')
var tags = { 'azd-env-name': environmentName }

@description('Allowed addresses, one by one.')
var addresses = empty(allowedAddresses) ? [] : split(allowedAddresses, ',')

// The host keeps its locks, its keys and the timer's state here.
resource host 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  // checkov:skip=CKV_AZURE_43:main.bicep makes the name of letters and the 13 of uniqueString
  // checkov:skip=CKV_AZURE_59:networkAcls close the account; Disabled would close it to storageAllowedAddresses too
  // checkov:skip=CKV_AZURE_35:open unless storageAccess is private; there are no keys, so an identity with a role is needed
  // checkov:skip=CKV_AZURE_206:locks and timer state are created again; the recordings have their own account
  name: hostStorageName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: [for address in addresses: { value: trim(address), action: 'Allow' }]
    }
  }
}

// Flex Consumption takes the zip from here. The app's own identity has no role in this account.
resource package 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  // checkov:skip=CKV_AZURE_43:main.bicep makes the name of letters and the 13 of uniqueString
  // checkov:skip=CKV_AZURE_59:networkAcls close the account; Disabled would close it to storageAllowedAddresses too
  // checkov:skip=CKV_AZURE_35:open unless storageAccess is private; there are no keys, so an identity with a role is needed
  // checkov:skip=CKV_AZURE_206:the package is deployed again from its release
  name: packageStorageName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: [for address in addresses: { value: trim(address), action: 'Allow' }]
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource container 'containers' = {
      name: packageContainerName
      properties: { publicAccess: 'None' }
    }
  }
}

resource vault 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  // checkov:skip=CKV_AZURE_43:main.bicep makes the name of letters and the 13 of uniqueString
  // checkov:skip=CKV_AZURE_59:networkAcls close the account; Disabled would close it to storageAllowedAddresses too
  // checkov:skip=CKV_AZURE_35:open unless storageAccess is private; there are no keys, so an identity with a role is needed
  // checkov:skip=CKV_AZURE_206:vaultSku decides, Standard_ZRS unless given
  name: vaultStorageName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: vaultSku }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      // Event Grid writes undeliverable events as a trusted service, with the identity of its topic.
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: [for address in addresses: { value: trim(address), action: 'Allow' }]
    }
  }
}

// The ledger and the audit log are in the same account, so one lock protects all of them.
resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (isLocked) {
  name: 'recording-vault-keep'
  scope: vault
  properties: {
    level: 'CanNotDelete'
    notes: 'Recordings, ledger and audit log. docs/OPERATIONS.md says how to tear down.'
  }
}
