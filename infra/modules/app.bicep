// The Function App: Flex Consumption, a custom handler, and the settings of recording-vault.
import { accessRule, appSettings, resourceNames } from '../types.bicep'

@description('Region of the app.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Names of the resources.')
param names resourceNames

@description('Memory of an instance, in MB.')
param instanceMemoryMB int

@description('Maximum number of instances.')
param maximumInstanceCount int

@description('Name of the Azure Communication Services resource.')
param acsName string

@description('Resource group of the Azure Communication Services resource.')
param acsResourceGroupName string

@description('Settings of recording-vault; none of them is empty.')
@secure()
param settings appSettings

@description('Whether only Event Grid and accessRules reach the app.')
param isRestricted bool

@description('Addresses that reach the app besides Event Grid.')
param accessRules accessRule[]

@description('Subnet that the app sends from; empty: none.')
param subnetId string

resource runtime 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.identity
}

resource deployment 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.deploymentIdentity
}

resource packageStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: names.packageStorage
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: names.insights
}

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
  scope: resourceGroup(acsResourceGroupName)
}

@description('Settings whose values come from Azure. On Flex Consumption the runtime is in functionAppConfig, not here.')
var platformSettings = {
  AzureWebJobsStorage__accountName: names.hostStorage
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: runtime.properties.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${runtime.properties.clientId};Authorization=AAD'
  AZURE_CLIENT_ID: runtime.properties.clientId
  ACS_ENDPOINT: 'https://${acs.properties.hostName}'
  ACS_RESOURCE_ID: acs.properties.immutableResourceId
}

@description('Addresses that reach the app besides Event Grid, as restrictions.')
var ranges = [
  for (rule, index) in accessRules: {
    name: rule.name
    action: 'Allow'
    priority: 200 + index
    tag: 'Default'
    ipAddress: rule.range
  }
]

// Event Grid delivers to the function from public addresses, so it is always allowed.
@description('Addresses that reach the app, Event Grid first.')
var restrictions = concat([{ name: 'Event Grid', action: 'Allow', priority: 100, tag: 'ServiceTag', ipAddress: 'AzureEventGrid' }], ranges)

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  // checkov:skip=CKV_AZURE_225:zone redundancy of Flex Consumption costs always-ready instances; failed events are redelivered
  name: names.plan
  location: location
  tags: { 'azd-env-name': environmentName }
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  // checkov:skip=CKV_AZURE_212:the number of instances follows the load; without load there are none
  // checkov:skip=CKV_AZURE_17:Event Grid and ACS send no client certificates
  // checkov:skip=CKV_AZURE_222:Event Grid pushes to public addresses only, and ACS calls back from the Internet; siteAccess restricts who
  // checkov:skip=CKV_AZURE_213:the platform probes the host and replaces instances; the app has no health route of its own
  name: names.app
  location: location
  // azd finds the app to deploy to by this tag.
  tags: { 'azd-env-name': environmentName, 'azd-service-name': 'recording-vault' }
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${runtime.id}': {}, '${deployment.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    // Without it the platform looks for a system-assigned identity, and references to Key Vault stay unresolved.
    keyVaultReferenceIdentity: runtime.id
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      ipSecurityRestrictionsDefaultAction: isRestricted ? 'Deny' : 'Allow'
      ipSecurityRestrictions: isRestricted ? restrictions : []
      // Deployments sign in with Microsoft Entra, from any address.
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Allow'
      appSettings: map(items(union(settings, platformSettings)), setting => { name: setting.key, value: setting.value })
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${packageStorage.properties.primaryEndpoints.blob}${names.packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: deployment.id
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

  resource noFtpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noScmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

@description('Host name of the app.')
output hostName string = app.properties.defaultHostName
