// For `bicep snapshot`. azd reads main.parameters.json, and nothing in this folder.
using '../subscription.bicep'

param acsName = 'contoso'
param acsResourceGroupName = 'contoso-rg'
param appResourceGroupName = 'rg-snapshot'
param functionAppName = 'func-snapshot'
param deadLetterStorageName = 'stvaultsnapshot'
param deadLetterContainerName = 'recordings-undelivered'
param autoRecord = 'all'
