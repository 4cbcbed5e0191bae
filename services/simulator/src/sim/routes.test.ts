import { describe, expect, it } from 'vitest';
import { Recordings } from '../tavus/recordings.ts';
import { isOwnHost } from './host-check.ts';
import { testWorld } from './test-world.ts';

describe('/sim/state', () => {
  it('shows conversations, rooms and the bill, and needs no key', async () => {
    const w = testWorld();
    const id = await w.create({ conversation_name: 'one' });
    await w.clock.pass(1_500);
    const { body } = await w.call('GET', '/sim/state', undefined, { 'x-api-key': '' });
    expect(body).toEqual({
      conversations: [
        {
          id,
          name: 'one',
          status: 'active',
          createdAt: new Date(w.clock.now() - 1_500).toISOString(),
          endedAt: null,
          endedBy: null,
          calls: [{ route: 'POST /v2/conversations', at: expect.any(String), epoch: null }],
        },
      ],
      rooms: [
        {
          name: id,
          participants: [
            {
              sessionId: 's1',
              userName: 'Pipecat Stream',
              userData: { of: 'Pipecat Stream' },
              tracks: ['video', 'audio'],
            },
          ],
        },
      ],
      billing: { seconds: 1.5, unended: [id] },
    });
  });
});

describe('what the replica got', () => {
  it('heard.wav and messages, while it runs and after its end', async () => {
    const w = testWorld();
    w.replicas.heardMessages = [
      { at: '2026-01-01T00:00:00.000Z', from: 's9', data: { event_type: 'conversation.interrupt' } },
    ];
    const id = await w.create();
    expect((await w.call('GET', `/sim/conversations/${id}/heard.wav`)).status).toBe(404);
    await w.clock.pass(500);
    for (const moment of ['running', 'ended']) {
      const wav = await w.call('GET', `/sim/conversations/${id}/heard.wav`);
      expect([moment, wav.status, wav.headers['content-type'], wav.text]).toEqual([
        moment,
        200,
        'audio/wav',
        'RIFF heard',
      ]);
      expect((await w.call('GET', `/sim/conversations/${id}/messages`)).body).toEqual(w.replicas.heardMessages);
      await w.call('POST', `/v2/conversations/${id}/end`);
      await w.clock.pass(0);
    }
    await w.call('DELETE', `/v2/conversations/${id}?hard=true`);
    await w.clock.pass(0);
    expect((await w.call('GET', `/sim/conversations/${id}/heard.wav`)).status).toBe(404);
  });

  it.each(['heard.wav', 'messages'])('%s of an unknown conversation is 404', async (what) => {
    expect((await testWorld().call('GET', `/sim/conversations/c404/${what}`)).status).toBe(404);
  });

  it('recordings are bounded in bytes, oldest first', () => {
    const recordings = new Recordings(10);
    recordings.put('a', { heard: Buffer.alloc(6), messages: [] });
    recordings.put('b', { heard: Buffer.alloc(6), messages: [] });
    expect([recordings.get('a'), recordings.get('b')?.heard.length, recordings.dropped]).toEqual([undefined, 6, 1]);
  });
});

describe('/sim/settings', () => {
  it('answers the effective settings and takes both forms of a size', async () => {
    const w = testWorld({ createLatencyMs: 200 });
    expect((await w.call('GET', '/sim/settings')).body).toMatchObject({
      size: { width: 640, height: 360 },
      fps: 24,
      createLatencyMs: 200,
      replicaDelayMs: 100,
      streamPolicy: 'first',
    });
    const changed = await w.call('POST', '/sim/settings', { size: '320x180', fps: 10, streamPolicy: 'mix' });
    expect(changed).toMatchObject({
      status: 200,
      body: { size: { width: 320, height: 180 }, fps: 10, streamPolicy: 'mix', replicaDelayMs: 100 },
    });
    const again = await w.call('POST', '/sim/settings', {
      size: { width: 64, height: 36 },
      conversationUrlBase: 'http://127.0.0.1:8090/rooms/',
    });
    expect(again.body).toMatchObject({
      size: { width: 64, height: 36 },
      conversationUrlBase: 'http://127.0.0.1:8090/rooms',
    });
  });

  it.each([
    [{ streamPolicy: 'loud' }, 'streamPolicy'],
    [{ fps: 0 }, 'fps'],
    [{ unheardOf: 1 }, 'unheardOf'],
    [{ size: 'large' }, 'size'],
  ])('%o → 400 naming %s', async (patch, field) => {
    const { status, body } = await testWorld().call('POST', '/sim/settings', patch);
    expect([status, body]).toMatchObject([400, { field }]);
  });

  it('the prefix of the replica follows the settings', async () => {
    const w = testWorld({ replicaUserIdPrefix: 'tavus-face' });
    const id = await w.create();
    await w.clock.pass(500);
    expect(w.replicas.started[0]?.userId).toBe(`tavus-face-${id}`);
  });
});

describe('Host', () => {
  it.each([
    ['127.0.0.1:8090', 8090, true],
    ['localhost:8090', 8090, true],
    ['[::1]:8090', 8090, true],
    ['localhost', 80, true],
    ['localhost:8091', 8090, false],
    ['localhost', 8090, false],
    ['evil.example:8090', 8090, false],
    ['127.0.0.1.evil.example:8090', 8090, false],
    [undefined, 8090, false],
    ['localhost', undefined, true],
  ])('%s on port %s → %s', (host, port, expected) => {
    expect(isOwnHost(host, port)).toBe(expected);
  });

  it.each(['/healthz', '/sim/state', '/v2/conversations', '/nowhere'])('a strange Host gets 403 on %s', async (url) => {
    expect((await testWorld().call('GET', url, undefined, { host: 'evil.example' })).status).toBe(403);
  });

  it('/healthz', async () => {
    expect((await testWorld().call('GET', '/healthz')).body).toEqual({ status: 'ok' });
  });
});
