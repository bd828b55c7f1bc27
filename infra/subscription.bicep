// The second phase: Event Grid delivers to a function, which has to be deployed before.
//
//   az deployment sub create --location <region> --template-file infra/subscription.bicep --parameters …
//
// `azd up` does it after the code is deployed (azure.yaml).
targetScope = 'subscription'

@description('Name of the Azure Communication Services resource.')
@minLength(1)
param acsName string

@description('Resource group of the Azure Communication Services resource.')
@minLength(1)
param acsResourceGroupName string

@description('Resource group of the Function App.')
@minLength(1)
param appResourceGroupName string

@description('Name of the Function App.')
@minLength(1)
param functionAppName string

@description('Storage account of the events that could not be delivered.')
@minLength(3)
param deadLetterStorageName string

@description('Container of the events that could not be delivered.')
@minLength(3)
param deadLetterContainerName string

@description('Action group of the alerts.')
param actionGroupName string = 'ag-recording-vault'

@description('System topic that the resource has already; a resource can have only one. It needs a system-assigned identity. Empty: a topic is created.')
param existingSystemTopicName string = ''

@description('What AUTO_RECORD is set to; unless empty or off, the starts and ends of calls are delivered too.')
param autoRecord string = ''

// A topic's name has at most 50 characters, and that of the resource may have 63. subscribe.sh computes the same.
@description('Name of the topic.')
var topicName = empty(existingSystemTopicName) ? take('evgt-${acsName}', 50) : existingSystemTopicName

@description('Whether calls are recorded by a policy.')
var recordsCalls = !empty(autoRecord) && autoRecord != 'off'

module topic 'modules/system-topic.bicep' = if (empty(existingSystemTopicName)) {
  scope: resourceGroup(acsResourceGroupName)
  params: {
    acsName: acsName
    topicName: topicName
  }
}

module deadLetters 'modules/dead-letters.bicep' = {
  scope: resourceGroup(appResourceGroupName)
  dependsOn: [topic]
  params: {
    storageName: deadLetterStorageName
    containerName: deadLetterContainerName
    topicName: topicName
    topicResourceGroupName: acsResourceGroupName
    actionGroupName: actionGroupName
  }
}

module events 'modules/event-subscription.bicep' = {
  scope: resourceGroup(acsResourceGroupName)
  dependsOn: [deadLetters]
  params: {
    topicName: topicName
    functionId: resourceId(
      subscription().subscriptionId,
      appResourceGroupName,
      'Microsoft.Web/sites/functions',
      functionAppName,
      'RecordingFileStatusUpdated'
    )
    deadLetterStorageId: resourceId(
      subscription().subscriptionId,
      appResourceGroupName,
      'Microsoft.Storage/storageAccounts',
      deadLetterStorageName
    )
    deadLetterContainerName: deadLetterContainerName
    eventTypes: concat(
      ['Microsoft.Communication.RecordingFileStatusUpdated'],
      recordsCalls ? ['Microsoft.Communication.CallStarted', 'Microsoft.Communication.CallEnded'] : []
    )
  }
}
