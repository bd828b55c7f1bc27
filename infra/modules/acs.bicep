// The app's right to record at the Azure Communication Services resource, which exists already, in its own resource group.

@description('Name of the Azure Communication Services resource.')
param acsName string

@description('Name of the identity that the app runs as.')
param identityName string

@description('Resource group of that identity.')
param identityResourceGroupName string

// It is wider than recording, and there is no narrower one: the service does not honour custom roles.
@description('Communication and Email Service Owner: the only built-in role of the service.')
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
}

resource runtime 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
  scope: resourceGroup(identityResourceGroupName)
}

resource onAcs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(acs.id, runtime.id, communicationAndEmailServiceOwner)
  scope: acs
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      communicationAndEmailServiceOwner
    )
    principalId: runtime.properties.principalId
    principalType: 'ServicePrincipal'
  }
}
