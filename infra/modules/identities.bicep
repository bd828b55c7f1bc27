// Two identities: the app runs as one, and the platform reads and writes the deployed package as the other.
import { resourceNames } from '../types.bicep'

@description('Region of the identities.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Names of the resources.')
param names resourceNames

@description('Tags of each resource.')
var tags = { 'azd-env-name': environmentName }

resource runtime 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.identity
  location: location
  tags: tags
}

resource deployment 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.deploymentIdentity
  location: location
  tags: tags
}

@description('Client id of the identity that the app runs as.')
output clientId string = runtime.properties.clientId
