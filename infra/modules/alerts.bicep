// Alerts on the log lines of recording-vault. A test compares the sentences with the sources.
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

// Alerts with a standing match the line that each sweep writes while there are such recordings.
@description('Severity 0: a recording is lost or will be; 1: act while there is time; 2: investigate.')
var alarms = [
  {
    name: 'lost'
    standing: 'lost'
    what: 'A recording is lost: ACS has dropped a file, and no copy is proved (recording-vault status).'
    sentence: 'Recordings are lost'
    severity: 0
  }
  {
    name: 'failed'
    standing: 'failed'
    what: 'A recording was given up, or ACS could not start it. See why (recording-vault show), fix it, then recording-vault retry.'
    sentence: 'Recordings have failed'
    severity: 0
  }
  {
    name: 'at-risk'
    standing: 'atRisk'
    what: 'Half or more of the time in which ACS keeps a recording has passed, and it is not in the vault.'
    sentence: 'Recordings are at risk'
    severity: 1
  }
  {
    name: 'not-readable'
    standing: 'unknown'
    what: 'An account or an entry of the ledger is not readable (recording-vault ledger rebuild).'
    sentence: 'Recordings are not readable'
    severity: 1
  }
  {
    name: 'missing'
    standing: 'missing'
    what: 'A recording ended and no event announced its files. Look at the Event Grid subscription.'
    sentence: 'Recordings are without files'
    severity: 1
  }
  {
    name: 'incomplete'
    standing: 'incomplete'
    what: 'Files of a recording were not announced, or are not whole (recording-vault report).'
    sentence: 'Recordings are incomplete'
    severity: 1
  }
  {
    name: 'doubtful'
    standing: 'doubtful'
    what: 'A file in the vault is not what its event said: look at it, then recording-vault accept.'
    sentence: 'Recordings are doubtful'
    severity: 2
  }
  {
    name: 'poison'
    what: 'An event could not be read; it is kept in the ledger under poison/ (recording-vault replay, or dismiss).'
    sentence: 'Events that cannot be read need attention'
    severity: 1
  }
  {
    name: 'check-findings'
    what: 'The complete check found files or entries that are missing or wrong (recording-vault status).'
    sentence: 'Findings of the complete check need attention'
    severity: 1
  }
  {
    name: 'check-late'
    what: 'No complete check of the vault for more than 26 hours: whether everything is in the vault is unknown.'
    sentence: 'The complete check is late'
    severity: 2
  }
  {
    name: 'wrong-vault'
    what: 'The ledger has proofs of copies, but the vault is empty: VAULT_URL names another place, or the files are gone.'
    sentence: 'but the vault is empty: check VAULT_URL'
    severity: 0
  }
  {
    name: 'wrong-ledger'
    what: 'The vault has files, and the ledger is empty: LEDGER_URL leads elsewhere, or the ledger is gone.'
    sentence: 'and the ledger is empty: check LEDGER_URL'
    severity: 0
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

// The line that a sweep returns to the host at its end: it is written whatever the value of LOG is.
resource sweep 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'recording-vault-sweep-not-running'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'recording-vault: sweep-not-running'
    description: 'No sweep has ended for 30 minutes: what an event did not finish is not continued.'
    severity: 1
    enabled: true
    scopes: [insights.id]
    evaluationFrequency: 'PT10M'
    windowSize: 'PT30M'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: 'traces | where operation_Name == "ExportSweep" and message startswith "Sweep: "'
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
