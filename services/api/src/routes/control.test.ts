import { beforeEach, describe, expect, it } from 'vitest';
import { Client, problemIn } from '../test-client.ts';
import { World, asA, asB } from '../test-world.ts';

let world: World;
let api: Client;

beforeEach(async () => {
  world = new World();
  const app = await world.app();
  api = new Client(app);
  return () => app.close();
});

describe.each([
  { verb: 'stop', reason: 'stopped' },
  { verb: 'cancel', reason: 'canceled' },
] as const)('$verb', ({ verb, reason }) => {
  const url = (id: string): string => `/v1/conversations/${id}/${verb}`;

  it('is accepted, also without a body, and asking again is asking once', async () => {
    const id = await api.start();
    world.set(id, { state: 'live' });
    for (const request of [
      { payload: { reason: 'done' } },
      {},
      { payload: '', headers: { ...asA, 'content-type': 'application/json' } },
    ]) {
      const answer = await api.ask({ method: 'POST', url: url(id), ...request });
      expect([answer.statusCode, answer.json()]).toEqual([202, { conversationId: id, state: 'live', desired: verb }]);
    }
    world.end(id, reason);
    expect((await api.ask({ method: 'POST', url: url(id) })).statusCode).toBe(202);
  });

  it('ends one that waits at once', async () => {
    const id = await api.start();
    expect((await api.ask({ method: 'POST', url: url(id) })).json()).toMatchObject({
      state: verb === 'stop' ? 'ended' : 'canceled',
    });
  });

  it('is refused when it ended unasked, unknown or another key’s', async () => {
    const id = await api.start();
    expect(problemIn(await api.ask({ method: 'POST', url: url(id), headers: asB }))).toMatchObject({ status: 404 });
    world.end(id, 'room-empty');
    expect(problemIn(await api.ask({ method: 'POST', url: url(id) }))).toMatchObject({
      status: 409,
      code: 'conversation-over',
    });
    expect(problemIn(await api.ask({ method: 'POST', url: url('unknown') }))).toMatchObject({ status: 404 });
    expect(problemIn(await api.ask({ method: 'POST', url: url(id), payload: { why: 1 } }))).toMatchObject({
      status: 400,
      fields: { why: 'is not known here; remove it' },
    });
  });
});

describe('live', () => {
  it('interrupts', async () => {
    const id = await api.start();
    const answer = await api.ask({
      method: 'POST',
      url: `/v1/conversations/${id}/interrupt`,
      payload: { reason: 'user spoke' },
    });
    expect([answer.statusCode, answer.json()]).toEqual([202, { conversationId: id, entryId: '1-0' }]);
    expect(world.frames).toEqual([{ conversationId: id, frame: { type: 'interruption', reason: 'user spoke' } }]);
  });

  it('changes settings and says what changes', async () => {
    const id = await api.start();
    const answer = await api.ask({
      method: 'PATCH',
      url: `/v1/conversations/${id}/settings`,
      payload: { model: 'm2' },
    });
    expect([answer.statusCode, answer.json()]).toEqual([202, { changed: { model: null } }]);
    expect(
      problemIn(
        await api.ask({ method: 'PATCH', url: `/v1/conversations/${id}/settings`, payload: { extra: { a: [] } } }),
      ).fields,
    ).toHaveProperty(['extra.a']);
  });

  it('takes every kind of frame', async () => {
    const id = await api.start();
    const frames = [
      { type: 'tts-started', context: 'c' },
      { type: 'tts-audio', audio: Buffer.from([1, 2, 3, 4]).toString('base64') },
      { type: 'tts-stopped' },
      { type: 'message', message: { deep: [1, 'two'] } },
      { type: 'settings-update', settings: { model: null } },
      { type: 'interruption' },
      { type: 'end', reason: 'bye' },
    ];
    for (const frame of frames) expect((await api.post(`/v1/conversations/${id}/frames`, frame)).statusCode).toBe(202);
    expect(world.frames.map(({ frame }) => frame.type)).toEqual(frames.map(({ type }) => type));
    expect(world.frames[1]?.frame).toEqual({
      type: 'tts-audio',
      rate: 24_000,
      channels: 1,
      audio: new Uint8Array([1, 2, 3, 4]),
    });
  });

  it.each([
    { frame: { type: 'dance' }, field: 'type' },
    { frame: { type: 'tts-audio', audio: '' }, field: 'audio' },
    { frame: { type: 'tts-audio', audio: 'not base64!' }, field: 'audio' },
    { frame: { type: 'tts-audio', audio: 'AAAA', rate: 1 }, field: 'rate' },
    { frame: { type: 'tts-started', audio: 'AAAA' }, field: 'audio' },
    { frame: {}, field: 'type' },
  ])('refuses $frame and names $field', async ({ frame, field }) => {
    const id = await api.start();
    expect(Object.keys(problemIn(await api.post(`/v1/conversations/${id}/frames`, frame)).fields)).toEqual([field]);
    expect(world.frames).toEqual([]);
  });

  it('takes a frame of nearly 1 MB and refuses a larger one', async () => {
    const id = await api.start();
    const audio = (bytes: number): object => ({ type: 'tts-audio', audio: Buffer.alloc(bytes, 1).toString('base64') });
    expect((await api.post(`/v1/conversations/${id}/frames`, audio(780_000))).statusCode).toBe(202);
    expect(problemIn(await api.post(`/v1/conversations/${id}/frames`, audio(800_000)))).toMatchObject({
      status: 413,
      code: 'body-too-large',
    });
  });

  it('says 429 when the stream is full and 409 when it is over', async () => {
    const id = await api.start();
    world.framesFull = true;
    const full = await api.post(`/v1/conversations/${id}/frames`, { type: 'tts-stopped' });
    expect(problemIn(full)).toMatchObject({ status: 429, code: 'stream-full' });
    expect(full.headers['retry-after']).toBe('1');
    world.end(id, 'idle');
    const requests = [
      { method: 'POST', url: `/v1/conversations/${id}/frames`, payload: { type: 'tts-stopped' } },
      { method: 'POST', url: `/v1/conversations/${id}/interrupt` },
      { method: 'PATCH', url: `/v1/conversations/${id}/settings`, payload: { model: 'm' } },
    ] as const;
    for (const request of requests)
      expect(problemIn(await api.ask(request))).toMatchObject({ status: 409, code: 'conversation-over' });
  });
});
