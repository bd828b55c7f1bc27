// Which events go to the function, how long Event Grid retries, and where it stores undeliverable events.

@description('System topic of the Azure Communication Services resource.')
param topicName string

@description('Function that gets the events.')
param functionId string

@description('Types of events.')
param eventTypes string[]

@description('Storage account of the undelivered events.')
param deadLetterStorageId string

@description('Container of the undelivered events.')
param deadLetterContainerName string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource recordings 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'recording-vault'
  properties: {
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: functionId
        // One by one: Event Grid redelivers a batch as a whole.
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: { includedEventTypes: eventTypes }
    // The maximum: a day, as long as ACS keeps a recording.
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: deadLetterStorageId
          blobContainerName: deadLetterContainerName
        }
      }
    }
  }
}
