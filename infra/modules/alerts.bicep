// Alerts on what recording-vault logs. A test holds the sentences together with the sources.
import { resourceNames } from '../types.bicep'

@description('Region of the alert rules.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Names of the resources.')
param names resourceNames

@description('Addresses that get the alerts.')
param emails string[]

@description('Tags of each resource.')
var tags = { 'azd-env-name': environmentName }

@description('Severity 0: a recording is lost or will be; 1: act while there is time; 2: look at it.')
var alarms = [
  {
    name: 'lost'
    what: 'ACS dropped a recording that is not in the vault.'
    sentence: 'is LOST'
    severity: 0
  }
  {
    name: 'dead-lettered'
    what: 'A recording was given up. See why (recording-vault show), mend it, then recording-vault retry.'
    sentence: 'was not exported and is not tried again by itself'
    severity: 0
  }
  {
    name: 'at-risk'
    what: 'Half or more of the time in which ACS keeps a recording is over, and it is not in the vault.'
    sentence: 'of its time are over, ACS drops it at'
    severity: 1
  }
  {
    name: 'missing'
    what: 'A recording ended and no event announced its files. Look at the Event Grid subscription.'
    sentence: 'ended and no file of it was announced'
    severity: 1
  }
  {
    name: 'poison'
    what: 'An event could not be read; it is kept in the ledger under poison/ (recording-vault replay).'
    sentence: 'Kept an event that cannot be read as poison'
    severity: 1
  }
  {
    name: 'doubtful'
    what: 'A file in the vault is not what its event said: look at it, then recording-vault accept.'
    sentence: 'is in the vault, but its copy is doubtful'
    severity: 2
  }
  {
    name: 'incomplete-day'
    what: 'The report of a day names recordings that are not complete (recording-vault report).'
    sentence: 'are not complete; see'
    severity: 2
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: names.insights
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: names.actionGroup
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'recvault'
    enabled: true
    emailReceivers: [
      for (address, index) in emails: {
        name: 'email-${index}'
        emailAddress: trim(address)
        useCommonAlertSchema: true
      }
    ]
  }
}

resource sentences 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alarm in alarms: {
    name: 'recording-vault-${alarm.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'recording-vault: ${alarm.name}'
      description: alarm.what
      severity: alarm.severity
      enabled: true
      scopes: [insights.id]
      evaluationFrequency: 'PT5M'
      // Longer than the frequency: log lines arrive minutes late.
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: 'traces | where message contains_cs "${alarm.sentence}"'
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [people.id] }
    }
  }
]

// The host's own account of invocations: it is there whatever LOG says.
resource sweep 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'recording-vault-sweep-not-running'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'recording-vault: sweep-not-running'
    description: 'No sweep succeeded for 30 minutes: what an event did not finish is not gone on with.'
    severity: 1
    enabled: true
    scopes: [insights.id]
    evaluationFrequency: 'PT10M'
    windowSize: 'PT30M'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: 'requests | where name == "ExportSweep" and success == true'
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}
