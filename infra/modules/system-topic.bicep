// The Event Grid topic of the Azure Communication Services resource. Its identity writes what cannot be delivered.
param acsName string
@description('Empty: a topic is made.')
param existingName string

resource acs 'Microsoft.Communication/communicationServices@2023-04-01' existing = {
  name: acsName
}

resource made 'Microsoft.EventGrid/systemTopics@2022-06-15' = if (empty(existingName)) {
  name: 'evgt-${acsName}'
  location: 'global'
  identity: { type: 'SystemAssigned' }
  properties: {
    source: acs.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

resource found 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = if (!empty(existingName)) {
  name: empty(existingName) ? 'none' : existingName
}

output id string = empty(existingName) ? made.id : found.id
output name string = empty(existingName) ? made.name : found.name
output principalId string = empty(existingName) ? made!.identity.principalId : found!.identity.principalId
