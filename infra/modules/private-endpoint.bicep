// Address of one service of a storage account inside the network.

@description('Region of the endpoint.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Storage account.')
param storageName string

@description('Service of the account: blob or queue.')
param service string

@description('Subnet of the endpoint.')
param subnetId string

@description('Private DNS zone of the service.')
param zoneId string

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName
}

resource endpoint 'Microsoft.Network/privateEndpoints@2025-09-01' = {
  name: 'pe-${storageName}-${service}'
  location: location
  tags: { 'azd-env-name': environmentName }
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: service
        properties: {
          privateLinkServiceId: storage.id
          groupIds: [service]
        }
      }
    ]
  }
}

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-09-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: service
        properties: { privateDnsZoneId: zoneId }
      }
    ]
  }
}
