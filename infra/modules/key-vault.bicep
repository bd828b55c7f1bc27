// The right to read the secrets that settings refer to, at a Key Vault that exists already.

@description('Name of the Key Vault; it uses roles, not access policies.')
param keyVaultName string

@description('Name of the identity that the app runs as.')
param identityName string

@description('Resource group of that identity.')
param identityResourceGroupName string

@description('Key Vault Secrets User: reads the values of secrets.')
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource keyVault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: keyVaultName
}

resource runtime 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
  scope: resourceGroup(identityResourceGroupName)
}

resource onKeyVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(keyVault.id, runtime.id, keyVaultSecretsUser)
  scope: keyVault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsUser)
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}
