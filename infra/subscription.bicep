// The second phase: Event Grid delivers to a function, which has to be deployed before.
//
//   az deployment sub create --location <region> --template-file infra/subscription.bicep --parameters …
//
// `azd up` does it after the code is deployed (azure.yaml).
targetScope = 'subscription'

@description('Name of the Azure Communication Services resource.')
param acsName string
param acsResourceGroupName string

@description('Resource group of the Function App.')
param appResourceGroupName string
param functionAppName string

@description('Storage account and container for what could not be delivered.')
param deadLetterStorageName string
param deadLetterContainerName string

@description('The action group of the alerts.')
param actionGroupName string = 'ag-recording-vault'

@description('The system topic that the resource has already, with a system-assigned identity: a resource can have only one.')
param existingSystemTopicName string = ''

@description('What AUTO_RECORD is set to; unless empty or off, calls are announced too.')
param autoRecord string = ''

var recordsCalls = !empty(autoRecord) && autoRecord != 'off'

module topic 'modules/system-topic.bicep' = {
  name: 'recording-vault-topic'
  scope: resourceGroup(acsResourceGroupName)
  params: {
    acsName: acsName
    existingName: existingSystemTopicName
  }
}

module deadLetters 'modules/dead-letters.bicep' = {
  name: 'recording-vault-dead-letters'
  scope: resourceGroup(appResourceGroupName)
  params: {
    storageName: deadLetterStorageName
    containerName: deadLetterContainerName
    principalId: topic.outputs.principalId
    topicId: topic.outputs.id
    actionGroupName: actionGroupName
  }
}

module subscriptionOfEvents 'modules/event-subscription.bicep' = {
  name: 'recording-vault-events'
  scope: resourceGroup(acsResourceGroupName)
  params: {
    topicName: topic.outputs.name
    functionId: resourceId(
      subscription().subscriptionId,
      appResourceGroupName,
      'Microsoft.Web/sites/functions',
      functionAppName,
      'RecordingFileStatusUpdated'
    )
    deadLetterStorageId: deadLetters.outputs.storageId
    deadLetterContainerName: deadLetterContainerName
    eventTypes: concat(
      ['Microsoft.Communication.RecordingFileStatusUpdated'],
      recordsCalls ? ['Microsoft.Communication.CallStarted', 'Microsoft.Communication.CallEnded'] : []
    )
  }
}
