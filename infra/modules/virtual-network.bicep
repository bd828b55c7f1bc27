// A network for private storage accounts: a subnet that the app sends from, one for private endpoints, and their DNS zones.
import { resourceNames } from '../types.bicep'

@description('Region of the network.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Names of the resources.')
param names resourceNames

@description('Range of the network in CIDR notation, /26 or larger.')
param addressPrefix string

@description('Names of the private DNS zones.')
param zoneNames string[]

@description('Tags of each resource.')
var tags = { 'azd-env-name': environmentName }

resource network 'Microsoft.Network/virtualNetworks@2025-09-01' = {
  name: names.network
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 27, 0)
          // ACS, Microsoft Entra and Application Insights are reached over the Internet.
          defaultOutboundAccess: true
          // Flex Consumption requires this delegation.
          delegations: [
            {
              name: 'flex-consumption'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 27, 1)
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneName in zoneNames: {
    name: zoneName
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneName, index) in zoneNames: {
    parent: zones[index]
    name: names.network
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]
