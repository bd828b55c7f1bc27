// Alerts on the verdict of recording-vault: each time that a sweep determines the verdict, it writes one line with its kind and the codes of its causes,
// whatever the value of LOG is. A test compares the codes with the sources.
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

// `word` is a code of the verdict, or its kind.
@description('Severity 0: a recording is lost or will be; 1: act while there is time; 2: investigate.')
var alarms = [
  {
    word: 'lost'
    what: 'A recording is lost: ACS has dropped a file, and no copy is proved (recording-vault status).'
    severity: 0
  }
  {
    word: 'failed'
    what: 'A recording was given up, or ACS could not start it. See why (recording-vault show), fix it, then recording-vault retry.'
    severity: 0
  }
  {
    word: 'vaultEmpty'
    what: 'The ledger has proofs of copies, but the vault is empty: VAULT_URL names another place, or the files are gone.'
    severity: 0
  }
  {
    word: 'ledgerEmpty'
    what: 'A vault or the audit log has recordings, and the ledger is empty: LEDGER_URL names another place, or the ledger is gone.'
    severity: 0
  }
  {
    word: 'copiesMissing'
    what: 'Copies are not in the vault: VAULT_URL names another place, or files are gone (recording-vault status --check names all).'
    severity: 0
  }
  {
    word: 'atRisk'
    what: 'Half or more of the time in which ACS keeps a recording has passed, and it is not in the vault; or its only copy could not be moved home from the backup vault.'
    severity: 1
  }
  {
    word: 'unreadableRecording'
    what: 'An entry of the ledger is not readable (recording-vault ledger rebuild), or an account of a recording is not readable or lost (restore an earlier version of it).'
    severity: 1
  }
  {
    word: 'unreadableChunk'
    what: 'An entry of a chunk is not readable, and its recording is not known (recording-vault ledger rebuild).'
    severity: 1
  }
  {
    word: 'missing'
    what: 'A recording ended and no event announced its files. Look at the Event Grid subscription.'
    severity: 1
  }
  {
    word: 'incomplete'
    what: 'Files of a recording were not announced, or are not whole (recording-vault report).'
    severity: 1
  }
  {
    word: 'doubtful'
    what: 'A file in the vault is not what its event said: look at it, then recording-vault accept.'
    severity: 2
  }
  {
    word: 'poison'
    what: 'An event could not be read; it is kept in the ledger under poison/ (recording-vault replay, or dismiss).'
    severity: 1
  }
  {
    word: 'checkFindings'
    what: 'The complete check found files or entries that are missing or wrong (recording-vault status).'
    severity: 1
  }
  {
    word: 'vaultUnreadable'
    what: 'The vault cannot be read: whether the copies are there is unknown.'
    severity: 1
  }
  {
    word: 'surveyCapped'
    what: 'More recordings are not settled than one look reads: whether the others are safe is unknown.'
    severity: 1
  }
  {
    word: 'keptEvents'
    what: 'An event is not completely processed: its recordings may not be known yet.'
    severity: 2
  }
  {
    word: 'startUnknown'
    what: 'ACS did not say whether a start began a recording: one may run that is not listed.'
    severity: 1
  }
  {
    word: 'sweepLate'
    what: 'When the last sweep ended could not be stored, or is in the future (recording-vault status).'
    severity: 1
  }
  {
    word: 'sweepFailed'
    what: 'A sweep could not look at chunks, recordings or missing files: see the errors in the log.'
    severity: 1
  }
  {
    word: 'notDetermined'
    what: 'The verdict could not be determined: see the errors in the log.'
    severity: 1
  }
  {
    word: 'auditUncovered'
    what: 'No checkpoint covers the newest records of the audit log: their removal would not be detected.'
    severity: 2
  }
  {
    word: 'checkLate'
    what: 'No complete check of the vault for more than 26 hours: whether everything is in the vault is unknown.'
    severity: 2
  }
  {
    word: 'inPlaceUnseen'
    what: 'The complete check could not look at files in your own storage: whether they are there is unknown.'
    severity: 2
  }
  {
    word: 'timerLate'
    what: 'No sweep ended in time, and a request ran one: check that the timer of ExportSweep fires. Without requests no sweep runs.'
    severity: 2
  }
  {
    word: 'unknown'
    what: 'Whether everything is safe is not known (recording-vault status).'
    severity: 1
  }
  {
    word: 'noData'
    what: 'No recording is known. That is right until the first one; afterwards LEDGER_URL and VAULT_URL name other places than before.'
    severity: 3
  }
]

@description('Words that one look alone does not alert on, because the next one often knows more.')
var confirmed = ['vaultUnreadable', 'keptEvents', 'sweepFailed', 'notDetermined', 'unknown']

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

// No such alert is resolved by Azure: a line that is no longer written can mean that no sweep determines the verdict. The rule is stateless, so it
// sends a reminder after the mute time while the word is still written; a person closes the alert when
// `recording-vault status` says that the problem is gone.
resource words 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alarm in alarms: {
    name: 'recording-vault-${alarm.word}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'recording-vault: ${alarm.word}'
      description: alarm.what
      severity: alarm.severity
      enabled: true
      scopes: [insights.id]
      evaluationFrequency: 'PT5M'
      // Longer than the frequency: log lines arrive minutes late. Two lines need three sweeps of a schedule of 15 minutes.
      windowSize: contains(confirmed, alarm.word) ? 'PT45M' : 'PT15M'
      autoMitigate: false
      muteActionsDuration: alarm.severity == 0 ? 'PT6H' : 'P1D'
      criteria: {
        allOf: [
          {
            query: 'traces | where message startswith_cs "Verdict: " and message has_cs "${alarm.word}"'
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: contains(confirmed, alarm.word) ? 1 : 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [people.id] }
    }
  }
]

// An idle app looks about every six minutes. Only a new line, that is a new look, ends this alert.
resource absent 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'recording-vault-no-verdict'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'recording-vault: no-verdict'
    description: 'No sweep has looked for 30 minutes: the app is stopped, ExportSweep does not run, or its sweeps do not end. Whether anything is wrong is unknown.'
    severity: 1
    enabled: true
    scopes: [insights.id]
    evaluationFrequency: 'PT10M'
    windowSize: 'PT30M'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: 'traces | where message startswith_cs "Verdict: "'
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
