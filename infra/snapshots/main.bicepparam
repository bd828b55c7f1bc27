// For `bicep snapshot`: every optional part switched on. azd reads main.parameters.json, and nothing in this folder.
using '../main.bicep'

param environmentName = 'snapshot'
param location = 'westeurope'
param acsName = 'contoso'
param acsResourceGroupName = 'contoso-rg'
param alertEmails = 'ops@contoso.com'
param autoRecord = 'all'
param siteAccess = 'restricted'
param siteAllowedRanges = [{ name: 'office', range: '203.0.113.0/24' }]
param storageAccess = 'private'
param storageAllowedAddresses = ['203.0.113.7']
param immutableVault = true
param vaultImmutableFor = '8760h'
param vaultTags = true
param tagsAndPoliciesRole = 'custom'
param lockStorage = true
param operatorPrincipalIds = '00000000-0000-0000-0000-000000000003'
param keyVaultName = 'contoso-keys'
param keyVaultResourceGroupName = 'contoso-rg'
param exportQueue = true
param signIn = {
  clientId: '00000000-0000-0000-0000-000000000001'
  issuer: 'https://sts.windows.net/00000000-0000-0000-0000-000000000002/'
}
