// Vectors R1 to R15: which frames go where, metrics, the gate of the avatar's media. Where ours differs from the reference on
// purpose the test says so; docs/from-pipecat.md has the table.
import { TavusVideoSettings } from '@tavus-fleet/video-service';
import { describe, expect, it } from 'vitest';
import { participant, replica, RoutingWorld } from './fixtures/routing-world.ts';

const sound = { type: 'audio', pcm: new Uint8Array(960).fill(7), pts: 40 } as const;

describe('time to first byte', () => {
  it('R1: from tts-started to the avatar being heard; both frames are forwarded (the reference swallows them)', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.service.processFrame({ type: 'tts-started' });
    await w.clock.pass(800);
    w.speech(true);
    expect(w.of('metrics')).toEqual([
      { type: 'metrics', data: { ttfbMs: 800, processor: 'TavusVideoService', model: '' } },
    ]);
    expect(w.pushed.map(({ frame: { type }, direction }) => `${type} ${direction}`)).toEqual([
      'tts-started downstream',
      'bot-started-speaking downstream',
      'metrics downstream',
    ]);
  });

  it('R1: the word of the transport behind us counts as well, once, and goes on upstream', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.service.processFrame({ type: 'tts-started' });
    await w.clock.pass(800);
    w.service.processFrame({ type: 'bot-started-speaking' }, 'upstream');
    w.speech(true);
    expect(w.ttfb).toEqual([0.8]);
    expect(w.pushed).toContainEqual(
      expect.objectContaining({ frame: { type: 'bot-started-speaking', source: 'transport' }, direction: 'upstream' }),
    );
  });

  it('R2: each tts-started starts the clock anew', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.service.processFrame({ type: 'tts-started' });
    await w.clock.pass(1_000);
    w.service.processFrame({ type: 'tts-started' });
    await w.clock.pass(500);
    w.speech(true);
    expect(w.ttfb).toEqual([0.5]);
  });

  it('R3: an interruption abandons it silently (the reference reports a time in which nothing was heard)', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.service.processFrame({ type: 'tts-started' });
    await w.clock.pass(400);
    w.service.processFrame({ type: 'interruption' });
    await w.clock.pass(1_000);
    w.speech(true);
    expect(w.ttfb).toEqual([]);
    expect(w.of('interrupted')).toHaveLength(1);
  });

  it('R4: speech that nobody asked for has none', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.speech(true);
    expect(w.ttfb).toEqual([]);
    expect(w.of('bot-started-speaking')).toHaveLength(1);
  });

  it('R5: none when metrics are off; the frames do what they do', async () => {
    const w = new RoutingWorld({ metrics: { enabled: false } });
    await w.live();
    w.service.processFrame({ type: 'tts-started' });
    await w.clock.pass(800);
    w.speech(true);
    expect(w.of('metrics')).toEqual([]);
    expect(w.of('tts-started')).toHaveLength(1);
    expect(w.of('bot-started-speaking')).toHaveLength(1);
  });

  it('R6: only the first where only the first is asked for', async () => {
    const w = new RoutingWorld({ metrics: { onlyInitialTtfb: true } });
    await w.live();
    for (const ms of [300, 700]) {
      w.service.processFrame({ type: 'tts-started' });
      await w.clock.pass(ms);
      w.speech(true);
      w.service.processFrame({ type: 'tts-stopped' });
      await w.clock.pass(500);
      w.speech(false);
    }
    expect(w.ttfb).toEqual([0.3]);
  });
});

describe("the avatar's media", () => {
  it('R7: its sound is dropped until the transport is ready, and handed on from then', async () => {
    const w = new RoutingWorld({ outputs: { audio: true } });
    await w.live();
    w.room.emit(sound);
    expect(w.of('speech-output-audio')).toEqual([]);
    w.service.processFrame({ type: 'output-transport-ready' }, 'upstream');
    w.room.emit(sound);
    w.room.emit(sound);
    expect(w.pushed.map(({ frame: { type }, direction }) => `${type} ${direction}`)).toEqual([
      'output-transport-ready upstream',
      'speech-output-audio downstream',
      'speech-output-audio downstream',
    ]);
    expect(w.of('speech-output-audio')[0]).toEqual({
      type: 'speech-output-audio',
      pts: 40,
      audio: sound.pcm,
      rate: 24_000,
      channels: 1,
    });
  });

  it('R7: so are its pictures, with their times', async () => {
    const w = new RoutingWorld({ outputs: { video: { format: 'jpeg', maxFps: 5 } } });
    await w.live();
    expect(w.watched?.options).toMatchObject({ picture: { format: 'jpeg', maxFps: 5 } });
    w.room.showPicture(20);
    expect(w.of('output-image')).toEqual([]);
    w.service.processFrame({ type: 'output-transport-ready' }, 'upstream');
    w.room.showPicture(60);
    expect(w.of('output-image')).toEqual([
      { type: 'output-image', format: 'jpeg', key: true, width: 320, height: 180, pts: 60, image: Uint8Array.of(1) },
    ]);
  });

  it('R8: an interruption in the same breath does not lose the word that the transport is ready', async () => {
    const w = new RoutingWorld({ outputs: { audio: true } });
    await w.live();
    w.service.processFrame({ type: 'interruption' });
    w.service.processFrame({ type: 'output-transport-ready' }, 'upstream');
    w.service.processFrame({ type: 'interruption' });
    await w.clock.pass(1_000);
    w.room.emit(sound);
    expect(w.of('speech-output-audio')).toHaveLength(1);
  });

  it('R9: of two who join the replica is watched, not the first (the reference takes the first)', async () => {
    const w = new RoutingWorld();
    w.room.participants = [participant('recorder'), replica('r')];
    await w.live();
    expect(w.watched?.participantId).toBe('r');
    expect(w.watched?.options).toMatchObject({ video: true, audio: true });
  });

  it('R9: without a telling user id it is known by its persona’s name', async () => {
    const w = new RoutingWorld();
    w.room.participants = [participant('recorder', { userName: 'Guest' }), participant('r', { userName: 'Anna' })];
    await w.live();
    expect(w.watched?.participantId).toBe('r');
  });

  it('R10: when it leaves that is said, and who comes in its place is watched (the reference does nothing)', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.room.emit({ type: 'participant-left', room: 'tavus', participant: replica('r'), reason: 'left' });
    w.room.emit({ type: 'participant-joined', room: 'tavus', participant: replica('r2') });
    expect(w.watched?.participantId).toBe('r2');
    expect([w.of('replica-left')[0], w.of('replica-joined')[0]]).toEqual([
      { type: 'replica-left', participantId: 'r', reason: 'left' },
      { type: 'replica-joined', participantId: 'r2' },
    ]);
  });
});

describe('frames that are not its business', () => {
  it('R11, R15: go on untouched, in their direction and order, and nothing of them reaches the replica', async () => {
    const w = new RoutingWorld();
    await w.live();
    const jingle = { type: 'other', frame: { name: 'OutputAudioRawFrame', audio: new Uint8Array(4) } } as const;
    const beats = [1, 2].map((n) => ({ type: 'other', frame: { name: 'HeartbeatFrame', n } }) as const);
    w.service.processFrame(jingle);
    for (const beat of beats) w.service.processFrame(beat);
    w.service.processFrame(jingle, 'upstream');
    expect(w.pushed.map(({ frame, direction }) => ({ frame, direction }))).toEqual([
      { frame: jingle, direction: 'downstream' },
      { frame: beats[0], direction: 'downstream' },
      { frame: beats[1], direction: 'downstream' },
      { frame: jingle, direction: 'upstream' },
    ]);
    expect(w.pushed[0]?.frame).toBe(jingle);
    expect(w.room.written).toHaveLength(0);
    expect(w.room.sent).toEqual([]);
  });
});

describe('settings', () => {
  it('R12: an update is applied, and says what changed (the reference forwards it and does nothing)', async () => {
    const w = new RoutingWorld();
    await w.live();
    w.service.processFrame({ type: 'settings-update', settings: { extra: { k: 1 } } });
    expect(w.of('settings-updated')).toEqual([
      { type: 'settings-updated', changed: { 'extra.k': null }, settings: { extra: { k: 1 } } },
    ]);
  });

  it('R13: a model that was null changes, and the metrics say it from then on', async () => {
    expect(new TavusVideoSettings({ model: null }).applyUpdate({ model: 'm' })).toEqual({ model: null });
    const w = new RoutingWorld();
    await w.live();
    w.service.processFrame({ type: 'settings-update', settings: { model: 'm' } });
    w.service.processFrame({ type: 'tts-started' });
    w.speech(true);
    expect(w.of('metrics')[0]?.data.model).toBe('m');
  });

  it('R14: equal values and absent ones change nothing', () => {
    const settings = new TavusVideoSettings({ model: 'm', extra: { k: 1 } });
    expect(settings.applyUpdate({ model: 'm', extra: { k: 1 } })).toEqual({});
    expect(settings.applyUpdate({})).toEqual({});
    expect(settings.applyUpdate({ extra: {} })).toEqual({});
  });
});
