// Everything recording-vault needs in Azure except the event subscription, which names a function that must be
// deployed first (subscription.bicep, the second phase).
//
// Names of resources are computed here and passed to the modules, so that what-if predicts all of them. Parameters
// that cannot work together are rejected before anything is created.
targetScope = 'subscription'

import { accessRule, appSettings, existingNetworkIds, signInOptions } from 'types.bicep'

@description('Name of this deployment; names of resources are derived from it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region with Flex Consumption: az functionapp list-flexconsumption-locations')
@minLength(1)
param location string

@description('Resource group, created if it does not exist. Empty: rg-<environmentName>.')
param resourceGroupName string = ''

@description('Name of the Azure Communication Services resource whose recordings are kept.')
@minLength(1)
param acsName string

@description('Resource group of the Azure Communication Services resource.')
@minLength(1)
param acsResourceGroupName string

@description('Container of the recordings. Beside it are <name>-ledger, <name>-audit and <name>-undelivered.')
@minLength(3)
@maxLength(51)
param vaultContainerName string = 'recordings'

@description('Redundancy of the storage account that keeps the recordings.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param vaultSku string = 'Standard_ZRS'

@description('Days for which deleted and replaced files can be restored. A file can outlast its deletion by up to twice this time and a day: first as a previous version, then soft-deleted.')
@minValue(1)
@maxValue(365)
param undeleteDays int = 14

@description('Version-level immutability for the container of the recordings. It cannot be switched off again.')
param immutableVault bool = false

@description('Days for which a document of the audit log can be neither changed nor deleted.')
@minValue(1)
@maxValue(146000)
param auditRetentionDays int = 365

@description('True once the policy of the audit log is locked (docs/OPERATIONS.md): the template then leaves it as it is.')
param auditPolicyLocked bool = false

@description('Whether a CanNotDelete lock protects the storage account of the recordings, the ledger and the audit log.')
param lockStorage bool = false

@description('Role of the app at the container of the recordings where tags, policies or legal holds are written: owner is the built-in Storage Blob Data Owner, custom a role that the template creates, which needs the right to write role definitions.')
@allowed(['owner', 'custom'])
param tagsAndPoliciesRole string = 'owner'

@description('Object ids of the people and groups that run verbs at a shell, comma-separated: they get the roles that the app has at Azure Communication Services, at the recordings, the ledger and the audit log, and may read events that could not be delivered (docs/SECURITY.md says what they can do with them). Empty: none.')
param operatorPrincipalIds string = ''

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Maximum number of instances.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('Recipients of the alerts: addresses, comma-separated. Empty: none.')
param alertEmails string = ''

@description('Days for which logs are kept, including the logs of who read and deleted recordings.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Who reaches the app: public is every address, restricted is Event Grid and siteAllowedRanges. Keys and tokens are required in either case.')
@allowed(['public', 'restricted', 'private'])
param siteAccess string = 'public'

@description('Ranges that reach a restricted app: those of ACS callbacks, of bots, of operators and of callers of the API.')
param siteAllowedRanges accessRule[] = []

@description('Who reaches the storage accounts: public is every address with a role, private is the network of the app and storageAllowedAddresses.')
@allowed(['public', 'private'])
param storageAccess string = 'public'

@description('IPv4 addresses and ranges that reach private storage accounts from the Internet, such as those of operators.')
param storageAllowedAddresses string[] = []

@description('Range of the network that is created for private storage, /26 or larger.')
@minLength(9)
param networkAddressPrefix string = '10.80.0.0/26'

@description('Subnets and DNS zones to use for private storage instead of new ones.')
param existingNetwork existingNetworkIds?

@description('Key Vault that settings refer to with @Microsoft.KeyVault(…). Empty: none.')
param keyVaultName string = ''

@description('Resource group of the Key Vault.')
param keyVaultResourceGroupName string = ''

@description('App Service Authentication in front of the app. Left out: none.')
param signIn signInOptions?

// The following are settings of recording-vault; docs/SETTINGS.md describes them.

@description('EXPORT_SWEEP_SCHEDULE. At most 15 minutes between two sweeps: the alert rules wait for their lines.')
@minLength(1)
param exportSweepSchedule string = '0 * * * * *'

@description('REQUIRE_CONSENT. Empty: its default.')
param requireConsent string = ''

@description('AUTO_RECORD. Empty: its default.')
param autoRecord string = ''

@description('AUTO_RECORD_OPTIONS. Empty: its default.')
param autoRecordOptions string = ''

@description('MISSING_AFTER. Empty: its default.')
param missingAfter string = ''

// Nothing here creates that container or assigns a role at it: docs/OPERATIONS.md, "Backup vault".
@description('BACKUP_VAULT_URL, which may have a SAS. Empty: none.')
@secure()
param backupVaultUrl string = ''

@description('VERIFY. Empty: its default.')
param verify string = ''

@description('ON_ANOMALY. Empty: its default.')
param onAnomaly string = ''

@description('ON_UNKNOWN_MEDIA. Empty: its default.')
param onUnknownMedia string = ''

@description('VAULT_TIER. Empty: its default.')
param vaultTier string = ''

@description('VAULT_TAGS')
param vaultTags bool = false

@description('VAULT_IMMUTABLE_FOR, which needs immutableVault. Empty: recordings are not made immutable.')
param vaultImmutableFor string = ''

@description('VAULT_LEGAL_HOLD, which needs immutableVault.')
param vaultLegalHold bool = false

@description('VAULT_RETENTION. Empty: copies are kept without a limit.')
param vaultRetention string = ''

@description('RETENTION_KEEPS: what the ledger keeps about a recording after retention deleted its copies.')
@allowed(['people', 'digests'])
param retentionKeeps string = 'people'

// Nothing here assigns a role at these containers: docs/OPERATIONS.md, "Bring your own storage".
@description('EXTERNAL_STORAGE: URLs of containers, which may have a SAS. Empty: none.')
@secure()
param externalStorage string = ''

@description('DELETE_DELAY. Empty: its default.')
param deleteDelay string = ''

@description('LOG_FORMAT. Empty: its default.')
param logFormat string = ''

@description('EVENT_GRID_SECRET. Empty: none.')
@secure()
param eventGridSecret string = ''

@description('EVENT_GRID_AUDIENCE, together with eventGridOpenIdUrl. Empty: none.')
param eventGridAudience string = ''

@description('EVENT_GRID_OPENID_URL, together with eventGridAudience. Empty: none.')
param eventGridOpenIdUrl string = ''

@description('Whether the package has ExportChunk (cargo xtask package --export-queue), which reads a queue of the host storage.')
param exportQueue bool = false

// NOTIFY_QUEUE_URL among them needs a role at its queue: docs/OPERATIONS.md, table of roles.
@description('Other settings of recording-vault, by name; they may contain keys.')
@secure()
param otherSettings appSettings = {}

@description('Suffix of the names of resources: the same for the same subscription, environment and region.')
var suffix = toLower(uniqueString(subscription().id, environmentName, location))

@description('Names of the resources.')
var names = {
  identity: 'id-${suffix}'
  deploymentIdentity: 'id-deploy-${suffix}'
  hostStorage: 'stfn${suffix}'
  packageStorage: 'stpkg${suffix}'
  packageContainer: 'app-package'
  vaultStorage: 'stvault${suffix}'
  recordings: vaultContainerName
  ledger: '${vaultContainerName}-ledger'
  audit: '${vaultContainerName}-audit'
  undelivered: '${vaultContainerName}-undelivered'
  workspace: 'log-${suffix}'
  insights: 'appi-${suffix}'
  plan: 'plan-${suffix}'
  app: 'func-${suffix}'
  network: 'vnet-${suffix}'
  actionGroup: 'ag-recording-vault'
}

@description('URL of the blobs of the vault account.')
var vaultBlobs = 'https://${names.vaultStorage}.blob.${environment().suffixes.storage}'

@description('URL of the container of the recordings.')
var vaultUrl = '${vaultBlobs}/${names.recordings}'

@description('URL of the container of the ledger.')
var ledgerUrl = '${vaultBlobs}/${names.ledger}'

@description('URL of the container of the audit log.')
var auditUrl = '${vaultBlobs}/${names.audit}'

@description('Settings that have a parameter or are known here. Empty ones are not set.')
var settings = {
  VAULT_URL: vaultUrl
  LEDGER_URL: ledgerUrl
  AUDIT_URL: auditUrl
  EXPORT_SWEEP_SCHEDULE: exportSweepSchedule
  REQUIRE_CONSENT: requireConsent
  AUTO_RECORD: autoRecord
  AUTO_RECORD_OPTIONS: autoRecordOptions
  MISSING_AFTER: missingAfter
  BACKUP_VAULT_URL: backupVaultUrl
  VERIFY: verify
  ON_ANOMALY: onAnomaly
  ON_UNKNOWN_MEDIA: onUnknownMedia
  VAULT_TIER: vaultTier
  VAULT_TAGS: vaultTags ? 'true' : ''
  VAULT_IMMUTABLE_FOR: vaultImmutableFor
  VAULT_LEGAL_HOLD: vaultLegalHold ? 'true' : ''
  VAULT_RETENTION: vaultRetention
  RETENTION_KEEPS: retentionKeeps
  EXTERNAL_STORAGE: externalStorage
  DELETE_DELAY: deleteDelay
  EXPORT_QUEUE_URL: exportQueue ? 'https://${names.hostStorage}.queue.${environment().suffixes.storage}/recording-vault-chunks' : ''
  LOG_FORMAT: logFormat
  EVENT_GRID_SECRET: eventGridSecret
  EVENT_GRID_AUDIENCE: eventGridAudience
  EVENT_GRID_OPENID_URL: eventGridOpenIdUrl
}

@description('Settings that are set.')
var givenSettings = toObject(filter(items(settings), setting => !empty(setting.value)), setting => setting.key, setting => setting.value)

@description('Settings that only the template sets: it creates the roles, queues or event types that they need, or Azure has the value.')
var reservedSettings = [
  'ACS_ENDPOINT'
  'ACS_RESOURCE_ID'
  'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
  'APPLICATIONINSIGHTS_CONNECTION_STRING'
  'AUTO_RECORD'
  'AZURE_CLIENT_ID'
  'AzureWebJobsStorage'
  'AzureWebJobsStorage__accountName'
  'AzureWebJobsStorage__clientId'
  'AzureWebJobsStorage__credential'
  'EXPORT_QUEUE_URL'
  'VAULT_IMMUTABLE_FOR'
  'VAULT_LEGAL_HOLD'
  'VAULT_TAGS'
]

// Names of app settings are not case-sensitive.
@description('Names of settings that cannot be in otherSettings.')
var takenSettings = map(concat(objectKeys(givenSettings), reservedSettings), name => toLower(name))

@description('Names in otherSettings that a parameter sets or that are reserved.')
var refusedSettings = filter(objectKeys(otherSettings), name => contains(takenSettings, toLower(name)))

@description('Names in otherSettings that differ only in case from another name there.')
var repeatedSettings = filter(
  objectKeys(otherSettings),
  name => length(filter(objectKeys(otherSettings), other => toLower(other) == toLower(name))) > 1
)

@description('All settings of recording-vault that are set.')
var allSettings = toObject(
  filter(items(union(otherSettings, givenSettings)), setting => !empty(setting.value)),
  setting => setting.key,
  setting => setting.value
)

@description('Object ids of operators, each once.')
var operators = union(filter(map(split(operatorPrincipalIds, ','), id => toLower(trim(id))), id => !empty(id)), [])

@description('Whether the storage accounts are private.')
var isPrivate = storageAccess == 'private'

@description('Conflicts between parameters, one sentence each.')
var problems = filter(
  [
    siteAccess == 'private' ? 'siteAccess cannot be private: Event Grid delivers to public addresses only, and ACS calls back from the Internet. Set it to restricted.' : ''
    siteAccess != 'restricted' && !empty(siteAllowedRanges) ? 'siteAllowedRanges has no effect unless siteAccess is restricted.' : ''
    !isPrivate && !empty(storageAllowedAddresses) ? 'storageAllowedAddresses has no effect unless storageAccess is private.' : ''
    !isPrivate && existingNetwork != null ? 'existingNetwork has no effect unless storageAccess is private.' : ''
    empty(keyVaultName) != empty(keyVaultResourceGroupName) ? 'keyVaultName and keyVaultResourceGroupName belong together: set both or neither.' : ''
    empty(eventGridAudience) != empty(eventGridOpenIdUrl) ? 'eventGridAudience and eventGridOpenIdUrl belong together: set both or neither.' : ''
    !immutableVault && !empty(vaultImmutableFor) ? 'vaultImmutableFor needs immutableVault: the container refuses policies without it.' : ''
    !immutableVault && vaultLegalHold ? 'vaultLegalHold needs immutableVault: the container refuses legal holds of single files without it.' : ''
    !empty(autoRecordOptions) && (empty(autoRecord) || autoRecord == 'off') ? 'autoRecordOptions has no effect unless autoRecord is set.' : ''
    empty(refusedSettings) ? '' : 'otherSettings has settings that are given twice or have a parameter of their own: ${join(refusedSettings, ', ')}.'
    empty(repeatedSettings) ? '' : 'otherSettings has settings that are given twice, because names of settings are not case-sensitive: ${join(repeatedSettings, ', ')}.'
  ],
  problem => !empty(problem)
)

@description('Name of the resource group.')
var groupName = empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName

@description('Whether the custom role is created.')
var usesCustomRole = tagsAndPoliciesRole == 'custom' && (vaultTags || vaultLegalHold || !empty(vaultImmutableFor))

@description('Name of the definition of the custom role.')
var customRoleName = guid(subscription().id, suffix, 'recordings')

// Storage Blob Data Owner if tags or policies are written, otherwise Storage Blob Data Contributor.
@description('Role of the app at the container of the recordings.')
var recordingsRole = usesCustomRole ? customRoleName : (vaultTags || vaultLegalHold || !empty(vaultImmutableFor) ? 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' : 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')

@description('Private DNS zones of blobs and queues.')
var zoneNames = ['privatelink.blob.${environment().suffixes.storage}', 'privatelink.queue.${environment().suffixes.storage}']

@description('Subscription of the resources.')
var subscriptionId = subscription().subscriptionId

@description('Subnets and DNS zones for private storage.')
var networkIds = existingNetwork ?? {
  appSubnetId: resourceId(subscriptionId, groupName, 'Microsoft.Network/virtualNetworks/subnets', names.network, 'app')
  endpointSubnetId: resourceId(subscriptionId, groupName, 'Microsoft.Network/virtualNetworks/subnets', names.network, 'endpoints')
  blobZoneId: resourceId(subscriptionId, groupName, 'Microsoft.Network/privateDnsZones', zoneNames[0])
  queueZoneId: resourceId(subscriptionId, groupName, 'Microsoft.Network/privateDnsZones', zoneNames[1])
}

// All resources are created in this group, so nothing is created when a parameter is rejected.
resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: empty(problems) ? location : fail(join(problems, ' '))
  tags: { 'azd-env-name': environmentName }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    environmentName: environmentName
    names: names
    retentionDays: logRetentionDays
  }
}

module identities 'modules/identities.bicep' = {
  scope: group
  params: {
    location: location
    environmentName: environmentName
    names: names
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    location: location
    environmentName: environmentName
    hostStorageName: names.hostStorage
    packageStorageName: names.packageStorage
    packageContainerName: names.packageContainer
    vaultStorageName: names.vaultStorage
    vaultSku: vaultSku
    isPrivate: isPrivate
    allowedAddresses: join(storageAllowedAddresses, ',')
    isLocked: lockStorage
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  dependsOn: [storage]
  params: {
    vaultStorageName: names.vaultStorage
    recordingsName: names.recordings
    ledgerName: names.ledger
    auditName: names.audit
    undeliveredName: names.undelivered
    undeleteDays: undeleteDays
    isImmutable: immutableVault
    auditRetentionDays: auditRetentionDays
    isAuditPolicyLocked: auditPolicyLocked
  }
}

module storageLogs 'modules/storage-logs.bicep' = {
  scope: group
  dependsOn: [monitoring, vault]
  params: {
    names: names
  }
}

module network 'modules/virtual-network.bicep' = if (isPrivate && existingNetwork == null) {
  scope: group
  params: {
    location: location
    environmentName: environmentName
    names: names
    addressPrefix: networkAddressPrefix
    zoneNames: zoneNames
  }
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (isPrivate) {
  scope: group
  dependsOn: [network, storage]
  params: {
    location: location
    environmentName: environmentName
    names: names
    subnetId: networkIds.endpointSubnetId
    blobZoneId: networkIds.blobZoneId
    queueZoneId: networkIds.queueZoneId
  }
}

module customRole 'modules/custom-role.bicep' = if (usesCustomRole) {
  scope: group
  params: {
    roleDefinitionName: customRoleName
    displayName: 'recording-vault recordings ${suffix}'
    writesTags: vaultTags
    writesPolicies: vaultLegalHold || !empty(vaultImmutableFor)
  }
}

module roles 'modules/roles.bicep' = {
  scope: group
  dependsOn: [identities, monitoring, vault, customRole]
  params: {
    names: names
    recordingsRole: recordingsRole
    usesExportQueue: exportQueue
  }
}

module operatorRoles 'modules/operators.bicep' = {
  scope: group
  dependsOn: [vault, customRole]
  params: {
    names: names
    recordingsRole: recordingsRole
    operators: operators
  }
}

module acs 'modules/acs.bicep' = {
  scope: resourceGroup(acsResourceGroupName)
  dependsOn: [identities]
  params: {
    acsName: acsName
    identityName: names.identity
    identityResourceGroupName: groupName
  }
}

module operatorsOnAcs 'modules/operators-on-acs.bicep' = {
  scope: resourceGroup(acsResourceGroupName)
  params: {
    acsName: acsName
    operators: operators
  }
}

module keyVault 'modules/key-vault.bicep' = if (!empty(keyVaultName)) {
  scope: resourceGroup(keyVaultResourceGroupName)
  dependsOn: [identities]
  params: {
    keyVaultName: keyVaultName
    identityName: names.identity
    identityResourceGroupName: groupName
  }
}

// After the roles and the endpoints: the host reads its storage and resolves settings as soon as it exists.
module app 'modules/app.bicep' = {
  scope: group
  dependsOn: [roles, acs, keyVault, privateEndpoints]
  params: {
    location: location
    environmentName: environmentName
    names: names
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    acsName: acsName
    acsResourceGroupName: acsResourceGroupName
    settings: allSettings
    isRestricted: siteAccess == 'restricted'
    accessRules: siteAllowedRanges
    subnetId: isPrivate ? networkIds.appSubnetId : ''
  }
}

module authentication 'modules/sign-in.bicep' = if (signIn != null) {
  scope: group
  dependsOn: [app]
  params: {
    appName: names.app
    signIn: signIn!
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  dependsOn: [monitoring]
  params: {
    location: location
    environmentName: environmentName
    names: names
    emails: filter(split(alertEmails, ','), address => !empty(trim(address)))
  }
}

// Outputs become variables for the second phase: azd stores them, and docs/OPERATIONS.md exports them. Those that repeat
// parameters are among them, so that the second phase always gets what the first one got.

@description('Region of the deployment.')
output AZURE_LOCATION string = location

@description('Azure Communication Services resource.')
output ACS_NAME string = acsName

@description('Resource group of the Azure Communication Services resource.')
output ACS_RESOURCE_GROUP string = acsResourceGroupName

@description('What AUTO_RECORD is set to.')
output AUTO_RECORD string = autoRecord

@description('Resource group of the app.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Function App.')
output FUNCTION_APP_NAME string = names.app

@description('Host name of the app.')
output FUNCTION_APP_HOST string = app.outputs.hostName

@description('Storage account of the recordings.')
output VAULT_STORAGE_NAME string = names.vaultStorage

@description('URL of the container of the recordings.')
output VAULT_URL string = vaultUrl

@description('URL of the container of the ledger.')
output LEDGER_URL string = ledgerUrl

@description('URL of the container of the audit log.')
output AUDIT_URL string = auditUrl

@description('Container of the audit log.')
output AUDIT_CONTAINER string = names.audit

@description('Container of the events that could not be delivered.')
output DEAD_LETTER_CONTAINER string = names.undelivered

@description('Action group of the alerts.')
output ACTION_GROUP_NAME string = names.actionGroup

@description('Client id of the identity that the app runs as.')
output IDENTITY_CLIENT_ID string = identities.outputs.clientId
