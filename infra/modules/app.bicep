// The Function App: Flex Consumption, a custom handler, and the settings of recording-vault.
param location string
param tags object
param suffix string
param identityName string
param hostStorageName string
param packageContainerName string
param applicationInsightsName string
param instanceMemoryMB int
param maximumInstanceCount int
param acsEndpoint string
param acsImmutableId string
param vaultUrl string
param ledgerUrl string
param exportSweepSchedule string
param requireConsent string
param autoRecord string
param autoRecordOptions string
param missingAfter string
@secure()
param backupVaultUrl string
param verify string
param onAnomaly string
param onUnknownMedia string
param vaultTier string
param vaultTags bool
param vaultImmutableFor string
param vaultLegalHold bool
param vaultRetention string
@secure()
param externalStorage string
param deleteDelay string
param exportQueue bool
param logFormat string
@secure()
param eventGridSecret string
param eventGridAudience string
param eventGridOpenIdUrl string
@secure()
param otherSettings object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

resource hostStorage 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: hostStorageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

// The host's own. On Flex Consumption the runtime stands in functionAppConfig, not here.
var hostSettings = {
  AzureWebJobsStorage__accountName: hostStorage.name
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.properties.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
}

// An empty one counts as not given.
var settings = {
  ACS_ENDPOINT: acsEndpoint
  ACS_RESOURCE_ID: acsImmutableId
  AZURE_CLIENT_ID: identity.properties.clientId
  VAULT_URL: vaultUrl
  LEDGER_URL: ledgerUrl
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
  VAULT_TAGS: vaultTags ? 'true' : 'false'
  VAULT_IMMUTABLE_FOR: vaultImmutableFor
  VAULT_LEGAL_HOLD: vaultLegalHold ? 'true' : 'false'
  VAULT_RETENTION: vaultRetention
  EXTERNAL_STORAGE: externalStorage
  DELETE_DELAY: deleteDelay
  EXPORT_QUEUE_URL: exportQueue ? '${hostStorage.properties.primaryEndpoints.queue}recording-vault-chunks' : ''
  LOG_FORMAT: logFormat
  EVENT_GRID_SECRET: eventGridSecret
  EVENT_GRID_AUDIENCE: eventGridAudience
  EVENT_GRID_OPENID_URL: eventGridOpenIdUrl
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-${suffix}'
  location: location
  // azd finds by this tag where to deploy to.
  tags: union(tags, { 'azd-service-name': 'recording-vault' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: map(items(union(otherSettings, settings, hostSettings)), setting => {
        name: setting.key
        value: setting.value
      })
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostStorage.properties.primaryEndpoints.blob}${packageContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
      runtime: {
        name: 'custom'
        version: '1.0'
      }
    }
  }

  // Deployments sign in with Microsoft Entra.
  resource noFtpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noScmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
