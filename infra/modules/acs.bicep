// The right to record at the Azure Communication Services resource, which is there already, in its own resource group.
param acsName string
param principalId string

// Communication and Email Service Owner: the only built-in role of the service. It is wider than recording, and there is
// no narrower one: the service does not honour custom roles.
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'

resource acs 'Microsoft.Communication/communicationServices@2023-04-01' existing = {
  name: acsName
}

resource onAcs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(acs.id, principalId, communicationAndEmailServiceOwner)
  scope: acs
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      communicationAndEmailServiceOwner
    )
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = 'https://${acs.properties.hostName}'
output immutableId string = acs.properties.immutableResourceId
