// Types of parameters that several files share.

@export()
@description('Names of the resources in the resource group of the app. main.bicep computes them once and passes them to the modules, so that what-if can predict all of them.')
type resourceNames = {
  @description('Identity that the app runs as.')
  identity: string
  @description('Identity that reads and writes the deployed package.')
  deploymentIdentity: string
  @description('Storage account of the Functions host.')
  hostStorage: string
  @description('Storage account of the deployed package.')
  packageStorage: string
  @description('Container of the deployed package.')
  packageContainer: string
  @description('Storage account of the recordings, the ledger and the audit log.')
  vaultStorage: string
  @description('Container of the recordings.')
  recordings: string
  @description('Container of the ledger.')
  ledger: string
  @description('Container of the audit log.')
  audit: string
  @description('Container of the events that could not be delivered.')
  undelivered: string
  @description('Log Analytics workspace.')
  workspace: string
  @description('Application Insights.')
  insights: string
  @description('Plan of the app.')
  plan: string
  @description('Function App.')
  app: string
  @description('Virtual network.')
  network: string
  @description('Action group of the alerts.')
  actionGroup: string
}

@export()
@description('Values by the name of an app setting.')
type appSettings = {
  @description('Value of the setting.')
  *: string
}

@export()
@description('Addresses that may reach the app.')
type accessRule = {
  @description('What the addresses belong to.')
  @minLength(1)
  @maxLength(32)
  name: string
  @description('IPv4 or IPv6 range in CIDR notation.')
  range: string
}

@export()
@description('Subnets and private DNS zones that exist already, by resource id.')
type existingNetworkIds = {
  @description('Empty subnet of at least /27, delegated to Microsoft.App/environments, with a route to the Internet.')
  appSubnetId: string
  @description('Subnet of the private endpoints.')
  endpointSubnetId: string
  @description('Zone privatelink.blob.…, linked to the network of the app.')
  blobZoneId: string
  @description('Zone privatelink.queue.…, linked to the network of the app.')
  queueZoneId: string
}

@export()
@description('App Service Authentication with Microsoft Entra.')
type signInOptions = {
  @description('Application id of the app registration.')
  clientId: string
  @description('Issuer of the tokens, version 2.0: the issuer of the OpenID configuration of the tenant.')
  issuer: string
  @description('Audiences that are accepted besides the application id.')
  audiences: string[]?
}
