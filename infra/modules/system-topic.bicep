// The Event Grid topic of the Azure Communication Services resource. Its identity writes undeliverable events.

@description('Name of the Azure Communication Services resource.')
param acsName string

@description('Name of the topic.')
param topicName string

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: 'global'
  identity: { type: 'SystemAssigned' }
  properties: {
    source: acs.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}
