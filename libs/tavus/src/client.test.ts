import { FleetError } from '@tavus-fleet/contracts';
import { FakeClock, type Clock } from '@tavus-fleet/lifecycle';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTavusClient, type TavusClient, type TavusClientOptions } from './client.ts';
import { StubServer } from './stub-server.ts';

const signal = new AbortController().signal;
const call = { epoch: 3, signal };
const request = { replicaId: 'r1', personaId: 'p1', conversationName: 'n' };
const created = {
  conversation_id: 'c1',
  conversation_url: 'https://tavus.daily.co/c1',
  status: 'active',
  created_at: '2025-05-20T05:38:51.501467Z',
  extra: 1,
};

let server: StubServer;
let client: TavusClient;
let seen: [string, string | number][];

function connect(options: Partial<TavusClientOptions> = {}): TavusClient {
  return createTavusClient({
    baseUrl: server.url,
    apiKey: 'secret-key',
    names: 'replica',
    onRequest: (route, status) => void seen.push([route, status]),
    ...options,
  });
}

beforeEach(async () => {
  server = await StubServer.start();
  seen = [];
  client = connect();
});
afterEach(async () => {
  await client.close();
  await client.close();
  await server[Symbol.asyncDispose]();
});

/** A clock whose pauses between tries take no time, and whose deadlines never come. */
const impatient: Clock = {
  now: () => 0,
  after(ms, callback) {
    const immediate = ms < 5_000 ? setImmediate(callback) : undefined;
    return { [Symbol.dispose]: () => clearImmediate(immediate) };
  },
  every: () => ({ [Symbol.dispose]: () => undefined }),
};

describe('with a permit', () => {
  const asked = (holds: (() => boolean)[]) => {
    const world = { confirmed: 0, looks: 0 };
    const permit = {
      confirm: async () => void (world.confirmed += 1),
      holds: () => ((world.looks += 1), holds.shift()?.() ?? true),
    };
    return { world, permit };
  };

  it('a request that lost it on the way to its connection is held back, confirmed anew, and sent once', async () => {
    server.handler = () => ({ body: created });
    const { world, permit } = asked([() => false]);
    await client.createConversation(request, { ...call, permit });
    expect(world).toEqual({ confirmed: 2, looks: 2 });
    expect(server.requests).toHaveLength(1);
    expect(seen).toEqual([['create', 200]]); // what was held back is no failed request
  });

  it('nothing leaves when it is gone: not what waited for a connection, not what would be tried again', async () => {
    server.handler = () => ({ status: 503 });
    const gone = new FleetError('lease-lost', 'x');
    const { world, permit } = asked([() => false]);
    const confirm = async (): Promise<void> => {
      world.confirmed += 1;
      if (world.confirmed > 1) throw gone;
    };
    await expect(client.createConversation(request, { ...call, permit: { ...permit, confirm } })).rejects.toBe(gone);
    expect(server.requests).toEqual([]);
    const again = connect({ clock: impatient });
    world.confirmed = 0;
    await expect(again.endConversation('c1', { ...call, permit: { ...permit, confirm } })).rejects.toBe(gone);
    expect(server.requests).toHaveLength(1);
    await again.close();
  });
});

describe('what is sent', () => {
  it('carries key and epoch, and only what was asked for', async () => {
    server.handler = () => ({ body: created });
    await client.createConversation(
      { ...request, audioOnly: true, properties: { maxCallDurationSeconds: 60, languages: ['en'] } },
      call,
    );
    const [sent] = server.requests;
    expect(sent).toMatchObject({
      method: 'POST',
      path: '/v2/conversations',
      headers: { 'x-api-key': 'secret-key', 'x-fleet-epoch': '3', 'content-type': 'application/json' },
    });
    expect(JSON.parse(sent?.body ?? '')).toEqual({
      replica_id: 'r1',
      persona_id: 'p1',
      conversation_name: 'n',
      audio_only: true,
      properties: { max_call_duration: 60, languages: ['en'] },
    });
  });

  it('speaks the new names when told to', async () => {
    await client.close();
    client = connect({ names: 'face' });
    server.handler = ({ path }) => ({ body: path.startsWith('/v2/pals') ? { pal_id: 'p1', pal_name: 'P' } : created });
    await client.createConversation(request, call);
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({ face_id: 'r1', pal_id: 'p1', conversation_name: 'n' });
    expect(await client.getPersona('p1', { signal })).toEqual({ personaId: 'p1', personaName: 'P' });
    expect(server.requests[1]).toMatchObject({ path: '/v2/pals/p1', headers: { 'x-fleet-epoch': '0' } });
  });

  it('never lets an id climb to another route', async () => {
    server.handler = () => ({ status: 400, body: { error: 'Invalid persona_id' } });
    await expect(client.getPersona('../conversations', call)).rejects.toMatchObject({ code: 'tavus-invalid-request' });
    await expect(client.getPersona('..', call)).rejects.toMatchObject({ code: 'tavus-invalid-request' });
    expect(server.requests.map((one) => one.path)).toEqual(['/v2/personas/..%2Fconversations']);
  });
});

describe('what is understood', () => {
  it.each([
    { what: 'flat', body: { persona_id: 'p', persona_name: 'N', pipeline_mode: null } },
    { what: 'in data, as documented', body: { data: [{ persona_id: 'p', persona_name: 'N' }] } },
    { what: 'in new names', body: { pal_id: 'p', pal_name: 'N' } },
  ])('a persona $what', async ({ body }) => {
    server.handler = () => ({ body });
    expect(await client.getPersona('p', call)).toEqual({ personaId: 'p', personaName: 'N' });
  });

  it('a conversation, a replica, and a list in either family', async () => {
    server.handler = ({ path }) => {
      if (path.startsWith('/v2/replicas')) return { body: { face_id: 'r1', face_name: 'Anna', status: 'completed' } };
      if (path.includes('?status'))
        return {
          body: { data: [{ conversation_id: 'c1', status: 'active', face_id: 'r1', pal_id: 'p1' }], total_count: 1 },
        };
      return { body: { ...created, status: 'ended', replica_id: 'r1', shutdown_reason: 'participant_left_timeout' } };
    };
    expect(await client.getReplica('r1', call)).toEqual({ replicaId: 'r1', replicaName: 'Anna', status: 'completed' });
    expect(await client.getConversation('c1', { signal, verbose: true })).toMatchObject({
      status: 'ended',
      replicaId: 'r1',
      shutdownReason: 'participant_left_timeout',
    });
    expect(await client.listConversations({ status: 'active', limit: 5 }, call)).toEqual({
      conversations: [
        { conversationId: 'c1', conversationName: '', status: 'active', replicaId: 'r1', personaId: 'p1' },
      ],
      totalCount: 1,
    });
    expect(server.requests.at(-1)?.path).toBe('/v2/conversations?status=active&limit=5');
  });
});

describe('create is tried once', () => {
  it.each([
    { what: 'a 500', answer: { status: 500 }, code: 'tavus-unavailable', outcomeUnknown: true },
    { what: 'no JSON', answer: { body: '<html>' }, code: 'tavus-bad-answer', outcomeUnknown: true },
    {
      what: 'a missing URL',
      answer: { body: { ...created, conversation_url: null } },
      code: 'tavus-bad-answer',
      outcomeUnknown: true,
    },
    {
      what: 'a URL of another kind',
      answer: { body: { ...created, conversation_url: 'javascript:alert(1)' } },
      code: 'tavus-bad-answer',
      outcomeUnknown: true,
    },
    {
      what: 'a redirect',
      answer: { status: 307, headers: { location: '/v2/elsewhere' } },
      code: 'tavus-bad-answer',
      outcomeUnknown: true,
    },
    { what: 'a 429', answer: { status: 429 }, code: 'tavus-rate-limit', outcomeUnknown: false },
    { what: 'a 401', answer: { status: 401 }, code: 'tavus-auth', outcomeUnknown: false },
    {
      what: 'no capacity',
      answer: { status: 400, body: { message: 'User has reached maximum concurrent conversations' } },
      code: 'tavus-capacity',
      outcomeUnknown: false,
    },
  ])('$what → $code, outcome unknown: $outcomeUnknown', async ({ answer, code, outcomeUnknown }) => {
    server.handler = () => answer;
    await expect(client.createConversation(request, call)).rejects.toMatchObject({ code, outcomeUnknown });
    expect(server.requests.length).toBe(1);
    expect(seen).toEqual([['create', answer.status ?? 200]]);
  });

  it('a connection that breaks after the request', async () => {
    server.handler = () => 'reset';
    await expect(client.createConversation(request, call)).rejects.toMatchObject({
      code: 'tavus-unavailable',
      outcomeUnknown: true,
    });
    expect(seen).toEqual([['create', 'network']]);
  });

  it('nobody listens: certainly nothing was created', async () => {
    await client.close();
    client = connect({ baseUrl: 'http://127.0.0.1:1' });
    await expect(client.createConversation(request, call)).rejects.toMatchObject({
      code: 'tavus-unavailable',
      outcomeUnknown: false,
    });
  });

  it('no answer within 15 s', async () => {
    const clock = new FakeClock();
    await client.close();
    client = connect({ clock });
    server.handler = () => 'hang';
    const arrived = server.arrived();
    const creating = client.createConversation(request, call);
    const failed = creating.catch((error: unknown) => error);
    await arrived;
    await clock.pass(15_000);
    expect(await failed).toMatchObject({ code: 'tavus-timeout', outcomeUnknown: true });
    expect(seen).toEqual([['create', 'timeout']]);
    expect(clock.pending).toBe(0);
  });

  it('an answer that begins and never ends', async () => {
    const clock = new FakeClock();
    await client.close();
    client = connect({ clock });
    const begun = Promise.withResolvers<void>();
    server.handler = (_, response) => {
      response.writeHead(200).write('{"conversation_id":', () => begun.resolve());
      return 'hang';
    };
    const failed = client.createConversation(request, call).catch((error: unknown) => error);
    await begun.promise;
    await clock.pass(15_000);
    expect(await failed).toMatchObject({ code: 'tavus-timeout', outcomeUnknown: true });
  });

  it('the caller gives up', async () => {
    const abort = new AbortController();
    server.handler = () => 'hang';
    const arrived = server.arrived();
    const failed = client.createConversation(request, { signal: abort.signal }).catch((error: unknown) => error);
    await arrived;
    abort.abort(new Error('enough'));
    expect(await failed).toMatchObject({ message: 'enough' });
    expect(seen).toEqual([['create', 'aborted']]);
  });
});

describe('reading and ending are tried again', () => {
  it('until it works, honouring the class of the failure', async () => {
    await client.close();
    client = connect({ clock: impatient });
    const answers = [{ status: 503 }, { status: 429, headers: { 'retry-after': '1' } }, { body: created }];
    server.handler = () => answers.shift() ?? { status: 500 };
    expect(await client.getConversation('c1', call)).toMatchObject({ conversationId: 'c1' });
    expect(seen.map(([, status]) => status)).toEqual([503, 429, 200]);
  });

  it('but not when trying again is pointless', async () => {
    server.handler = () => ({ status: 401, body: { message: 'Invalid access token' } });
    await expect(client.getConversation('c1', call)).rejects.toMatchObject({ code: 'tavus-auth' });
    expect(server.requests.length).toBe(1);
  });

  it('and an end five times', async () => {
    await client.close();
    client = connect({ clock: impatient });
    server.handler = () => ({ status: 500 });
    await expect(client.endConversation('c1', call)).rejects.toMatchObject({ code: 'tavus-unavailable' });
    expect(server.requests.length).toBe(5);
  });

  it.each([400, 404])('an end that Tavus answers with %i is settled when a look says: not active', async (status) => {
    for (const look of [
      { status, body: { error: 'Invalid conversation_id' } },
      { body: { ...created, status: 'ended' } },
    ]) {
      server.handler = ({ method }) =>
        method === 'POST' ? { status, body: { error: 'Invalid conversation_id' } } : look;
      await client.endConversation('c1', call);
    }
    server.handler = ({ method }) =>
      method === 'POST' ? { status, body: { error: 'Invalid conversation_id' } } : { body: created };
    await expect(client.endConversation('c1', call)).rejects.toMatchObject({ code: 'tavus-invalid-request' });
  });

  it('an end refused for another reason is no end', async () => {
    server.handler = () => ({ status: 400, body: { error: 'Something else' } });
    await expect(client.endConversation('c1', call)).rejects.toMatchObject({ code: 'tavus-invalid-request' });
    expect(server.requests.length).toBe(1);
  });

  it('a delete is a delete', async () => {
    server.handler = () => ({ status: 204, body: '' });
    await client.deleteConversation('c1', call);
    expect(server.requests[0]).toMatchObject({ method: 'DELETE', path: '/v2/conversations/c1' });
  });
});

describe('what is bounded', () => {
  it('the answer', async () => {
    server.handler = () => ({ body: `"${'x'.repeat(3 * 1024 * 1024)}"` });
    await expect(client.createConversation(request, call)).rejects.toMatchObject({
      code: 'tavus-bad-answer',
      outcomeUnknown: true,
    });
  });

  it('the pages: every conversation once, although the server caps the limit and pages shift', async () => {
    const all = Array.from({ length: 25 }, (_, i) => ({
      conversation_id: `c${i}`,
      conversation_name: `n${i}`,
      status: 'active',
    }));
    server.handler = ({ path }) => {
      const page = Number(new URL(path, server.url).searchParams.get('page'));
      return { body: { data: all.slice((page - 1) * 10, page * 10), total_count: 25 } };
    };
    const ids: string[] = [];
    for await (const row of client.allConversations({ status: 'active' }, call)) ids.push(row.conversationId);
    expect(ids).toEqual(all.map((row) => row.conversation_id));
    expect(server.requests.length).toBe(3);
  });

  it('a list that never ends is an error, not an incomplete list', async () => {
    server.handler = () => ({ body: { data: [{ conversation_id: 'c1', status: 'active' }] } });
    const drain = async (): Promise<void> => {
      for await (const row of client.allConversations({}, call)) expect(row.conversationId).toBe('c1');
    };
    await expect(drain()).rejects.toMatchObject({ code: 'tavus-bad-answer' });
  });
});
