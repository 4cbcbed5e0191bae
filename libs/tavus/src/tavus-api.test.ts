import { createTavusClient } from './client.ts';
import { FakeTavusApi } from './fake-tavus-api.ts';
import { StubServer } from './stub-server.ts';
import { tavusApiContract } from './tavus-api.contract.ts';

tavusApiContract('FakeTavusApi', () => {
  const api = new FakeTavusApi();
  return { api, active: () => api.unended };
});

tavusApiContract('the client', async () => {
  const server = await StubServer.start();
  const conversations = new Map<string, 'active' | 'ended'>();
  server.handler = ({ method, path, body }) => {
    const [, , collection, id, verb] = path.split('/');
    if (collection === 'personas')
      return id === 'pipecat-stream'
        ? { body: { persona_id: id, persona_name: 'Stream' } }
        : { status: 400, body: { error: 'Invalid persona_id' } };
    if (method === 'POST' && id === undefined) {
      if (!body.includes('"replica_id":"r')) return { status: 400, body: { error: 'Invalid replica_uuid' } };
      const conversationId = `c${conversations.size}`;
      conversations.set(conversationId, 'active');
      return {
        body: {
          conversation_id: conversationId,
          conversation_url: `https://tavus.daily.co/${conversationId}`,
          status: 'active',
        },
      };
    }
    const status = conversations.get(id ?? '');
    if (!status || !id) return { status: 400, body: { error: 'Invalid conversation_id' } };
    if (verb === 'end') conversations.set(id, 'ended');
    return { body: { conversation_id: id, status } };
  };
  const api = createTavusClient({ baseUrl: server.url, apiKey: 'k', names: 'replica' });
  return {
    api,
    active: () => [...conversations].filter(([, status]) => status === 'active').map(([id]) => id),
    close: async () => {
      await api.close();
      await server[Symbol.asyncDispose]();
    },
  };
});
