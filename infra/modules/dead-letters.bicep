// Lets Event Grid store undeliverable events, and alerts operators when deliveries fail, and when it gives up on an event.

@description('Storage account of the undelivered events.')
param storageName string

@description('Container of the undelivered events.')
param containerName string

@description('System topic of the Azure Communication Services resource.')
param topicName string

@description('Resource group of the topic.')
param topicResourceGroupName string

@description('Action group of the alerts.')
param actionGroupName string

@description('Storage Blob Data Contributor, which Event Grid requires; on this container only.')
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
  scope: resourceGroup(topicResourceGroupName)
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${storageName}/default/${containerName}'
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' existing = {
  name: actionGroupName
}

@description('System-assigned identity of the topic; empty if the topic has none.')
var principalId = topic.?identity.?principalId ?? ''

resource onContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, topic.id, blobDataContributor)
  scope: container
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: empty(principalId) ? fail('The system topic ${topicName} has no system-assigned identity, so Event Grid could not keep what it cannot deliver. Run: az eventgrid system-topic update --resource-group ${topicResourceGroupName} --name ${topicName} --identity systemassigned') : principalId
    principalType: 'ServicePrincipal'
  }
}

// Event Grid retries most events for a day, and then ACS has dropped the file. So failed attempts alert too, while there is time.
@description('What is counted of events that the function did not get.')
var counts = [
  {
    name: 'failed-deliveries'
    metric: 'DeliveryAttemptFailCount'
    severity: 1
    window: 'PT15M'
    what: 'Event Grid could not deliver events. ACS keeps their recordings for a day: check at once that the app runs (recording-vault doctor --url), what the metric says under Error, and whether the container has events that Event Grid does not retry.'
  }
  {
    name: 'undelivered-events'
    metric: 'DeadLetteredCount'
    severity: 0
    window: 'PT5M'
    what: 'Event Grid gave up on an event and kept it. ACS may still have its recording: run recording-vault replay <URL of the container> at once.'
  }
  {
    name: 'dropped-events'
    metric: 'DroppedEventCount'
    severity: 0
    window: 'PT5M'
    what: 'Event Grid gave up on an event and could not keep it: nothing else may announce its recording. Look whether the topic may still write into the container, and run recording-vault reconcile --calls.'
  }
]

// The linter may ask for 2026-01-01, which adds identities and PromQL. This version has all that the alerts need, and every
// compiler knows it.
#disable-next-line use-recent-api-versions
resource lost 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for count in counts: {
    name: 'recording-vault-${count.name}'
    location: 'global'
    // After the role: nothing is created for a topic that is rejected.
    dependsOn: [onContainer]
    properties: {
      description: count.what
      severity: count.severity
      enabled: true
      // The pauses between attempts grow to 12 hours: no failure for some minutes does not mean that the events arrived.
      autoMitigate: false
      scopes: [topic.id]
      evaluationFrequency: 'PT5M'
      windowSize: count.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: count.name
            criterionType: 'StaticThresholdCriterion'
            metricName: count.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: [{ actionGroupId: people.id }]
    }
  }
]
