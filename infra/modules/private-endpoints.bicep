// Private endpoints of the three storage accounts: blobs of each, and queues of the host's.
import { resourceNames } from '../types.bicep'

@description('Region of the endpoints.')
param location string

@description('Name of the deployment, kept as a tag.')
param environmentName string

@description('Names of the resources.')
param names resourceNames

@description('Subnet of the endpoints.')
param subnetId string

@description('Private DNS zone of blobs.')
param blobZoneId string

@description('Private DNS zone of queues.')
param queueZoneId string

module vaultBlobs 'private-endpoint.bicep' = {
  params: {
    location: location
    environmentName: environmentName
    storageName: names.vaultStorage
    service: 'blob'
    subnetId: subnetId
    zoneId: blobZoneId
  }
}

module packageBlobs 'private-endpoint.bicep' = {
  params: {
    location: location
    environmentName: environmentName
    storageName: names.packageStorage
    service: 'blob'
    subnetId: subnetId
    zoneId: blobZoneId
  }
}

module hostBlobs 'private-endpoint.bicep' = {
  params: {
    location: location
    environmentName: environmentName
    storageName: names.hostStorage
    service: 'blob'
    subnetId: subnetId
    zoneId: blobZoneId
  }
}

module hostQueues 'private-endpoint.bicep' = {
  params: {
    location: location
    environmentName: environmentName
    storageName: names.hostStorage
    service: 'queue'
    subnetId: subnetId
    zoneId: queueZoneId
  }
}
