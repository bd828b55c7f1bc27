// A role for the container of the recordings that is narrower than Storage Blob Data Owner: it adds index tags or policies
// to the rights to read, write and delete, and nothing else. It can be assigned in this resource group only.

@description('Name of the role definition, a GUID.')
param roleDefinitionName string

@description('Display name; unique in the tenant.')
param displayName string

@description('Whether the role may read and write index tags.')
param writesTags bool

@description('Whether the role may write immutability policies and legal holds.')
param writesPolicies bool

@description('Prefix of the data actions on blobs.')
var onBlobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs'

@description('Data actions of each recording.')
var always = ['${onBlobs}/read', '${onBlobs}/write', '${onBlobs}/delete', '${onBlobs}/add/action']

@description('Data actions for VAULT_TAGS.')
var forTags = writesTags ? ['${onBlobs}/tags/read', '${onBlobs}/tags/write'] : []

@description('Data action for VAULT_IMMUTABLE_FOR and VAULT_LEGAL_HOLD; Azure has no narrower one.')
var forPolicies = writesPolicies ? ['${onBlobs}/immutableStorage/runAsSuperUser/action'] : []

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: roleDefinitionName
  properties: {
    roleName: displayName
    description: 'Reads, writes and deletes recordings, with the tags and policies that recording-vault is set to write.'
    type: 'CustomRole'
    permissions: [
      {
        actions: ['Microsoft.Storage/storageAccounts/blobServices/containers/read']
        notActions: []
        dataActions: concat(always, forTags, forPolicies)
        notDataActions: []
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}
