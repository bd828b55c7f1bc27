// The rights of operators at the Azure Communication Services resource: their verbs ask the service as the app does. The app
// does not wait for them.

@description('Name of the Azure Communication Services resource.')
param acsName string

@description('Object ids of operators.')
param operators string[]

@description('Communication and Email Service Owner: the only built-in role of the service.')
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
}

resource onAcs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in operators: {
    name: guid(acs.id, principalId, communicationAndEmailServiceOwner)
    scope: acs
    properties: {
      roleDefinitionId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        communicationAndEmailServiceOwner
      )
      principalId: principalId
    }
  }
]
