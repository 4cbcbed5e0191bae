// What a backend asked to get of a conversation's media, through a whole session.
import type { Participant } from '@tavus-fleet/rooms';
import { describe, expect, test } from 'vitest';
import { replica, SessionWorld } from '../test-world.ts';

describe('a session’s outputs', () => {
  test.each([true, false])('hands the avatar’s voice to the backend when asked for: %s', async (audio) => {
    const w = new SessionWorld({ output: { streams: { audio } } });
    await w.live();
    const block = { type: 'audio', pcm: new Uint8Array(960).fill(3), pts: 1_000 } as const;
    w.room.emit(block);
    await w.clock.pass(10);
    expect(w.audio.map(({ pts, rate }) => [pts, rate])).toEqual(audio ? [[1_000, 24_000]] : []);
    const watched = w.room.calls.filter(({ method }) => method === 'watch');
    expect(watched).toEqual([
      expect.objectContaining({ options: { video: true, audio: true, ...(audio ? { pcm: true } : {}) } }),
    ]);
    w.session.asked('cancel');
    await w.clock.pass(0);
    w.room.emit(block);
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason: 'canceled' });
    expect(w.audio).toHaveLength(audio ? 1 : 0);
  });

  test('gives sound at the rate that was asked for, and every time by Redis’ clock', async () => {
    const w = new SessionWorld(
      { audio: { sampleRate: 16_000 }, output: { streams: { audio: true, video: { format: 'jpeg' } } } },
      { skewMs: 90_000 },
    );
    await w.live();
    for (let at = 0; at < 10; at += 1) w.room.emit({ type: 'audio', pcm: new Uint8Array(960), pts: 1_000 + at * 20 });
    w.room.showPicture(1_010);
    await w.clock.pass(10);
    expect(w.audio.length).toBeGreaterThanOrEqual(9);
    expect(w.audio[2]).toMatchObject({ rate: 16_000, channels: 1, pts: 91_040 });
    expect(w.audio.every(({ audio }) => audio.byteLength === 640)).toBe(true);
    expect(w.video).toMatchObject([{ format: 'jpeg', key: true, width: 320, height: 180, pts: 91_010 }]);
  });

  test.each([
    { video: { format: 'jpeg', width: 200 }, picture: { format: 'jpeg', maxFps: 5, width: 200 } },
    { video: { format: 'jpeg', maxFps: 1 }, picture: { format: 'jpeg', maxFps: 1 } },
    { video: { format: 'encoded', maxFps: 12, width: 200 }, picture: { format: 'encoded', maxFps: 12 } },
    { video: false, picture: undefined },
  ] as const)('asks the room for pictures as the backend did: $video', async ({ video, picture }) => {
    const w = new SessionWorld({ output: { streams: { video } } });
    await w.live();
    const [watch] = w.room.calls.filter((call) => call.method === 'watch');
    expect(watch?.options).toEqual({ video: true, audio: true, ...(picture ? { picture } : {}) });
  });

  test('asks for a key frame when pictures were lost on the way', async () => {
    const w = new SessionWorld({ output: { streams: { video: { format: 'encoded' } } } });
    await w.live();
    w.room.showPicture(0);
    w.room.showPicture(40);
    await w.clock.pass(10);
    expect(w.video.map(({ key }) => key)).toEqual([true, false]);
    w.outputsDown = true;
    w.room.showPicture(80);
    await w.clock.pass(10);
    w.outputsDown = false;
    expect(w.room.order).toContain('requestKeyFrame');
    w.room.showPicture(120);
    await w.clock.pass(10);
    expect(w.video.map(({ pts, key }) => [pts, key])).toEqual([
      [0, true],
      [40, false],
      [120, true],
    ]);
    expect(w.events).toContainEqual({ type: 'frames-dropped', data: { count: 1, ms: 0, why: 'output-video' } });
  });

  test('hands out who speaks in the user room, and says so', async () => {
    const w = new SessionWorld(
      { output: { room: { url: 'https://acme.daily.co/room' }, userAudio: true } },
      { skewMs: 500 },
    );
    await w.live();
    const joins = (participant: Participant): void =>
      w.room.emit({ type: 'participant-joined', room: 'user', participant });
    joins({ id: 'ada', local: false, tracks: {} });
    joins({ id: 'ghost', local: false, tracks: {}, userData: { conversationId: 'c1', epoch: 0 } });
    for (const id of ['ada', 'ghost']) w.room.userSpeaks('user', id, 2_000);
    w.room.emit({ type: 'user-speech', participantId: 'ada', speaking: true, at: 2_000 });
    w.room.emit({ type: 'user-speech', participantId: 'ada', speaking: false, at: 2_400 });
    await w.clock.pass(10);
    expect(w.userAudio).toMatchObject([{ participant: 'ada', rate: 24_000, channels: 1, pts: 2_500 }]);
    expect(w.events.filter(({ type }) => type.startsWith('user-'))).toEqual([
      { type: 'user-started-speaking', data: { participantId: 'ada', atMs: 2_500 } },
      { type: 'user-stopped-speaking', data: { participantId: 'ada', atMs: 2_900 } },
    ]);
  });

  test('in direct mode hears the users in the Tavus room, never the replica', async () => {
    const w = new SessionWorld({ output: { direct: true, userAudio: true } });
    await w.live();
    w.room.emit({ type: 'participant-joined', room: 'tavus', participant: { id: 'ada', local: false, tracks: {} } });
    for (const id of ['ada', replica.id]) w.room.userSpeaks('tavus', id, 0);
    await w.clock.pass(10);
    expect(w.userAudio.map(({ participant }) => participant)).toEqual(['ada']);
    expect(w.room.calls.filter(({ method }) => method === 'hearUsers')).toEqual([
      { method: 'hearUsers', room: 'tavus', participantIds: ['ada'] },
    ]);
  });

  test('in direct mode hears those too who were there before it, as after a takeover', async () => {
    const w = new SessionWorld({ output: { direct: true, userAudio: true } });
    w.present.push({ id: 'ada', local: false, tracks: {} });
    await w.live();
    w.room.userSpeaks('tavus', 'ada', 0);
    await w.clock.pass(10);
    expect(w.userAudio.map(({ participant }) => participant)).toEqual(['ada']);
  });

  test('hears nobody when users’ voices were not asked for', async () => {
    const w = new SessionWorld({ output: { room: { url: 'https://acme.daily.co/room' } } });
    await w.live();
    w.room.emit({ type: 'participant-joined', room: 'user', participant: { id: 'ada', local: false, tracks: {} } });
    expect(w.room.order).not.toContain('hearUsers');
  });

  test('a Redis that takes no sound costs sound and nothing else, and it is said', async () => {
    const w = new SessionWorld({ output: { streams: { audio: true } } });
    await w.live();
    w.outputsDown = true;
    for (let at = 0; at < 5; at += 1) w.room.emit({ type: 'audio', pcm: new Uint8Array(960), pts: at });
    await w.clock.pass(10);
    w.session.asked('stop');
    await w.clock.pass(20_000);
    expect(w.ending).toMatchObject({ reason: 'stopped' });
    expect(w.events).toContainEqual({
      type: 'frames-dropped',
      data: expect.objectContaining({ why: 'output-audio' }) as unknown,
    });
  });
});
