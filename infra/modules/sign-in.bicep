// App Service Authentication in front of the app. Event Grid, ACS, bots and players cannot sign in there: their routes check
// a key, a token or a ticket themselves. The page and the description of the API contain no data: a browser has to load
// the page before anybody can sign in.
import { signInOptions } from '../types.bicep'

@description('Function App.')
param appName string

@description('Registration and issuer.')
param signIn signInOptions

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  // checkov:skip=CKV_AZURE_13:the check is about the settings of a site; this is authsettingsV2
  // checkov:skip=CKV_AZURE_63:the check is about the settings of a site; this is authsettingsV2
  // checkov:skip=CKV_AZURE_65:the check is about the settings of a site; this is authsettingsV2
  // checkov:skip=CKV_AZURE_66:the check is about the settings of a site; this is authsettingsV2
  // checkov:skip=CKV_AZURE_80:the check is about the settings of a site; this is authsettingsV2
  // checkov:skip=CKV_AZURE_88:the check is about the settings of a site; this is authsettingsV2
  // checkov:skip=CKV_AZURE_222:the check is about the settings of a site; this is authsettingsV2
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: [
        '/runtime/webhooks/eventgrid'
        '/api/eventgrid/webhook'
        '/api/recordings/callbacks'
        '/api/telephony/*'
        '/api/vault/play/*'
        '/api/vault'
        '/api/vault/'
        '/api/openapi.json'
      ]
    }
    httpSettings: { requireHttps: true }
    login: {
      tokenStore: { enabled: false }
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: signIn.clientId
          openIdIssuer: signIn.issuer
        }
        validation: {
          allowedAudiences: concat([signIn.clientId], signIn.?audiences ?? [])
        }
      }
    }
  }
}
