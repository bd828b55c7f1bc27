// A bot written with Microsoft's Bot Framework SDK, as its documentation has it. It sends the Telephony channel's recording
// commands through the SDK's connector client, and takes their results at its own endpoint through the SDK's adapter.
//
// It prints `listening <url>`, reads one line of JSON `{serviceUrl, token, conversationId, serverCallId}`, and then prints a line
// of JSON for each thing that happened.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { ActivityHandler, CloudAdapter, ConfigurationBotFrameworkAuthentication, EventFactory } from 'botbuilder';
import connector from 'botframework-connector';

const RECORDING = 'channel/vnd.microsoft.telephony.recording.';

// The bot's own endpoint. Without an application id the SDK accepts every caller.
const adapter = new CloudAdapter(new ConfigurationBotFrameworkAuthentication({}));
adapter.onTurnError = (_, error) => { console.error(error); process.exit(1); };
const waiting = new Map();
const bot = new ActivityHandler();
bot.onCommandResult(async (context, next) => {
  waiting.get(context.activity.value.commandId)?.(context);
  await next();
});
const server = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  Object.assign(request, { body: JSON.parse(body) });
  // What the SDK expects of a web server's response: express and restify have it.
  response.status = (code) => { response.statusCode = code; return response; };
  response.header = (name, value) => response.setHeader(name, value);
  response.send = (content) => response.write(typeof content === 'string' ? content : JSON.stringify(content));
  await adapter.process(request, response, (context) => bot.run(context));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(`listening http://127.0.0.1:${server.address().port}/api/messages`);

const [line] = await once(createInterface({ input: process.stdin }), 'line');
const { serviceUrl, token, conversationId, serverCallId } = JSON.parse(line);

// The token that Microsoft Entra would issue.
class IssuedCredentials extends connector.AppCredentials {
  async getToken() { return token; }
}
const client = new connector.ConnectorClient(new IssuedCredentials('the-bot'), { baseUri: serviceUrl });

const activity = (name, rest = {}) => ({
  type: 'command', name, channelId: 'telephony', serviceUrl,
  conversation: { id: conversationId }, from: { id: 'bot', name: 'Bot' }, recipient: { id: '+15550100' }, ...rest,
});
const print = (what, value) => console.log(JSON.stringify({ what, ...value }));

// A command whose result comes to the endpoint.
async function command(action, commandId, data) {
  const told = new Promise((resolve) => waiting.set(commandId, resolve));
  const { id } = await client.conversations.sendToConversation(conversationId, activity(RECORDING + action, { value: { commandId, data } }));
  const context = await told;
  const { type, name, value, replyToId, recipient, from } = context.activity;
  print(action, { type, name, value, isReply: replyToId === id, from: from.id, to: recipient.id });
  return context;
}

// A command whose result is wanted in the response.
async function inline(name, value) {
  const sent = activity(name, { value, deliveryMode: 'expectReplies' });
  const response = await client.conversations.replyToActivity(conversationId, 'an-earlier-activity', sent);
  const [result] = JSON.parse(response._response.bodyAsText).activities;
  print('inline', { id: response.id, type: result.type, name: result.name, value: result.value });
}

await command('start', 'start-1', { serverCallId });
await command('start', 'start-2');
await command('pause', 'pause-1');
await command('resume', 'resume-1');
await command('stop', 'stop-1');
await command('stop', 'stop-2');
await inline(`${RECORDING}start`, { commandId: 'start-3' });
// As the library's own extensions send it: without a value.
await inline(`${RECORDING}pause`);
await inline('channel/vnd.microsoft.telephony.dtmf.batch', { commandId: 'dtmf-1' });
const context = await command('resume', 'resume-2');
const transfer = EventFactory.createHandoffInitiation(context, { TargetPhoneNumber: '+15550199' });
const { id } = await client.conversations.sendToConversation(conversationId, { ...activity(transfer.name), ...transfer });
print('transfer', { id });
await client.conversations.sendToConversation('nobody-knows', activity(`${RECORDING}start`, { conversation: { id: 'nobody-knows' } }))
  .catch((error) => print('refused', { status: error.statusCode, error: error.body?.error ?? JSON.parse(error.response.bodyAsText).error }));
process.exit(0);
