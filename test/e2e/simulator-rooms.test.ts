/**
 * The simulator's rooms, met by a website that uses unmodified daily-js 0.92.2 and nothing of ours: join, tracks, app
 * messages, errors, and an avatar that hears, answers and can be silenced. Real Chromium, real WebRTC, nothing leaves
 * the machine.
 */
import { decodeFrameClock, type FrameReading } from '@tavus-fleet/testkit/frame-clock';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { matches, samplesOf, settledMatch, wanderingTone } from './rooms/signal.ts';
import { createWorld, measured, until, type Stranger, type World } from './rooms/world.ts';

const RATE = 24_000;
let world: World;
let rooms = 0;

beforeAll(async () => {
  world = await createWorld();
});
beforeEach(() => world.rooms.setAppMessageLimit(undefined));
afterAll(async () => {
  await world?.close();
});

/** Opens a new Tavus room. */
function openRoom(): { name: string; url: string } {
  rooms += 1;
  const name = `c${rooms}0ffee`;
  world.rooms.open({ name });
  return { name, url: `https://tavus.daily.co/${name}` };
}

async function joined(url: string, name: string, options: Record<string, unknown> = {}): Promise<Stranger> {
  const stranger = await world.stranger();
  expect(await stranger.join(url, name, options)).toBe('joined');
  return stranger;
}

const base64 = (samples: Int16Array): string =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');

/** An echo interaction as Pipecat sends it, 100 ms each. */
function* echoMessages(samples: Int16Array, rate: number, inferenceId: string): Generator {
  const properties = { modality: 'audio', sample_rate: rate, inference_id: inferenceId };
  const message = (audio: string, done: boolean) => ({
    message_type: 'conversation',
    event_type: 'conversation.echo',
    conversation_id: 'c',
    properties: { ...properties, audio, done },
  });
  for (let at = 0; at < samples.length; at += rate / 10)
    yield message(base64(samples.slice(at, at + rate / 10)), false);
  yield message(base64(new Int16Array(rate * 0.04)), true);
}

const INTERRUPT = { message_type: 'conversation', event_type: 'conversation.interrupt', conversation_id: 'c' };

it('an avatar hears the bot’s `stream` track, answers with sound and picture, and tells when it speaks', async () => {
  const { name, url } = openRoom();
  const bot = await joined(url, 'Pipecat');
  await bot.run('publish', 'stream', RATE);
  const replica = await world.replica(name);
  await until(async () => (await bot.run('trackState', 'Avatar', 'audio')) === 'playable', 'the avatar’s sound');
  await until(async () => (await bot.run('trackState', 'Avatar', 'video')) === 'playable', 'the avatar’s picture');
  expect(await bot.run<string[]>('userIds')).toContain(`tavus-replica-${name}`);
  await bot.run('listenTo', 'Avatar', 'audio');

  const sent = wanderingTone(3, RATE);
  await bot.run('play', 'stream', base64(sent));
  const events = await until(async () => {
    const all = (await bot.events())
      .filter((event) => event.name === 'app-message')
      .map((event) => event.data as Spoken);
    return all.some((event) => event.event_type === 'conversation.stopped_speaking') ? all : null;
  }, 'the end of speaking');
  expect(events.map((event) => event.event_type)).toEqual([
    'conversation.replica.started_speaking',
    'conversation.started_speaking',
    'conversation.replica.stopped_speaking',
    'conversation.stopped_speaking',
  ]);
  expect(events[3]?.properties).toMatchObject({ role: 'replica', interrupted: false });
  expect(events[3]?.properties.duration).toBeCloseTo(3, 0);
  expect(await bot.run('lastLoud', 'Avatar')).toBeDefined();

  const figures = await measured(
    async () => {
      const heardSoFar = async (): Promise<Int16Array> => samplesOf(await replica.heard());
      await until(
        async () => (await heardSoFar()).subarray(-RATE / 4).every((sample) => Math.abs(sample) < 300),
        'silence',
      );
      const before = (await heardSoFar()).length;
      const taking = bot.run<Frame[]>('frames', 'Avatar', 30);
      await bot.run('play', 'stream', base64(sent));
      const frames = (await taking).map(readFrame);
      const stretches = matches(sent, (await heardSoFar()).subarray(before), RATE);
      return { match: settledMatch(stretches), ...pictureFigures(frames) };
    },
    ({ match, fps, readable }) => match > 0.95 && fps >= 9 && readable >= 29,
  );
  expect(figures.sizes).toEqual(['320x180']);
  expect(figures.readable).toBeGreaterThanOrEqual(29);
  expect(figures.fps).toBeGreaterThanOrEqual(9);
  expect(figures.mouth).toBeGreaterThan(0.5);
  expect(figures.match).toBeGreaterThan(0.95);
  await replica.stop();
  await until(async () => (await bot.run<string[]>('names')).length === 1, 'the avatar’s leaving');
  await bot.close();
});

type Spoken = { event_type: string; properties: { duration?: number } };
type Frame = { at: number; width: number; height: number; stride: number; luma: string };

type Read = { at: number; size: string; clock: FrameReading | null };

function readFrame({ at, width, height, stride, luma }: Frame): Read {
  const bytes = Buffer.from(luma, 'base64');
  const clock = decodeFrameClock((x, y) => bytes[Math.floor(y * height) * stride + Math.floor(x * width)] ?? 0, at);
  return { at, size: `${width}x${height}`, clock };
}

/** How many frames could be read, how many pictures a second their own clock says were drawn and arrived, the widest mouth. */
function pictureFigures(frames: readonly Read[]): { readable: number; fps: number; mouth: number; sizes: string[] } {
  const clocks = frames.flatMap(({ clock }) => clock ?? []);
  const [first, last] = [clocks[0], clocks.at(-1)];
  const seconds = first && last ? (last.timeMs - first.timeMs) / 1000 : Infinity;
  return {
    readable: clocks.length,
    fps: (clocks.length - 1) / seconds,
    mouth: Math.max(...clocks.map(({ mouth }) => mouth)),
    sizes: [...new Set(frames.map(({ size }) => size))],
  };
}

it('echo mode speaks what it is told, and an interruption silences it at once', async () => {
  const { name, url } = openRoom();
  world.rooms.setAppMessageLimit(100_000);
  const bot = await joined(url, 'Pipecat');
  const replica = await world.replica(name, { hearing: 'echo' });
  await until(async () => (await bot.run('trackState', 'Avatar', 'audio')) === 'playable', 'the avatar’s sound');
  await bot.run('listenTo', 'Avatar', 'audio');

  const sent = wanderingTone(2, 16_000);
  for (const message of echoMessages(sent, 16_000, 'first')) expect(await bot.run('say', message)).toBe('sent');
  const stopped = (interrupted: boolean) => async () =>
    (await bot.events()).some(({ data }) => {
      const spoken = data as Spoken | undefined;
      return (
        spoken?.event_type === 'conversation.replica.stopped_speaking' &&
        'interrupted' in spoken.properties &&
        spoken.properties.interrupted === interrupted
      );
    });
  await until(stopped(false), 'the end of the first utterance');
  expect(await bot.run('lastLoud', 'Avatar')).toBeDefined();
  // No network and no codec on this way: every stretch is as it was sent.
  expect(Math.min(...matches(upsampled(sent), samplesOf(await replica.heard()), RATE))).toBeGreaterThan(0.99);

  let turn = 0;
  const silentAfterMs = await measured(
    async () => {
      turn += 1;
      const begun = await bot.run<number>('now');
      for (const message of echoMessages(wanderingTone(4, RATE), RATE, `turn ${turn}`)) await bot.run('say', message);
      const lastLoud = async (): Promise<number> => (await bot.run<number | undefined>('lastLoud', 'Avatar')) ?? 0;
      await until(async () => (await lastLoud()) > begun + 500, 'the utterance');
      const at = await bot.run<number>('now');
      await bot.run('say', INTERRUPT);
      const end = await until(async () => {
        const loud = await lastLoud();
        return (await bot.run<number>('now')) - loud > 400 ? loud : null;
      }, 'silence');
      return end - at;
    },
    (ms) => ms < 150,
  );
  // Expected below 150 (100 on a calm machine; the avatar itself is silent from the next sample, see its unit test). What
  // comes later is the listener's own jitter buffer, which holds more on a busy machine, so only double fails.
  expect(silentAfterMs).toBeLessThan(300);
  await until(stopped(true), 'the end of an interrupted turn');
  expect(replica.messages().at(-1)).toMatchObject({ data: INTERRUPT });
  await Promise.all([replica.stop(), bot.close()]);
});

/** 16 kHz → 24 kHz; the tone's pitch is low enough for straight lines. */
function upsampled(samples: Int16Array): Int16Array {
  return Int16Array.from({ length: (samples.length * 3) / 2 }, (_, i) => {
    const at = (i * 2) / 3;
    const left = samples[Math.floor(at)] ?? 0;
    return left + ((samples[Math.floor(at) + 1] ?? left) - left) * (at % 1);
  });
}

it('app messages: to all, to one, never to the sender, and none above the limit', async () => {
  const { url } = openRoom();
  const [a, b, c] = await Promise.all([joined(url, 'A'), joined(url, 'B'), joined(url, 'C')]);
  await until(async () => (await a.run<string[]>('names')).length === 3, 'all three');
  expect(await a.run('say', { n: 1 })).toBe('sent');
  expect(await a.run('say', 'only you', await b.run('me'))).toBe('sent');
  expect(await a.run('say', 'x'.repeat(4_095))).toMatch(/Max size is 4096/);
  const heard = async (who: Stranger): Promise<unknown[]> =>
    (await who.events()).filter((event) => event.name === 'app-message').map((event) => event.data);
  await until(async () => (await heard(b)).length === 2, 'both messages');
  expect(await heard(b)).toEqual([{ n: 1 }, 'only you']);
  expect(await heard(c)).toEqual([{ n: 1 }]);
  expect(await heard(a)).toEqual([]);
  await Promise.all([a.close(), b.close(), c.close()]);
});

it('who wants no video gets none; wanting it later works, and so does leaving and joining again', async () => {
  const { url } = openRoom();
  const [sender, viewer] = await Promise.all([
    joined(url, 'Sender'),
    joined(url, 'Viewer', { subscribeToTracksAutomatically: false }),
  ]);
  await sender.run('camera', 320, 180);
  await until(async () => (await viewer.run('trackState', 'Sender', 'video')) === 'sendable', 'an offer');
  await viewer.run('subscribe', 'Sender', { video: true });
  await until(async () => (await viewer.run('trackState', 'Sender', 'video')) === 'playable', 'the picture');
  await viewer.run('subscribe', 'Sender', { video: false });
  await until(async () => (await viewer.run('trackState', 'Sender', 'video')) === 'sendable', 'no picture');

  const before = await sender.run('me');
  await sender.run('leave');
  await until(async () => (await viewer.run<string[]>('names')).length === 1, 'the leaving');
  expect(await sender.join(url, 'Sender')).toBe('joined');
  expect(await sender.run('me')).not.toBe(before);
  await until(async () => (await viewer.run<string[]>('names')).includes('Sender'), 'the return');
  await Promise.all([sender.close(), viewer.close()]);
});

it('fatal errors come with Daily’s types, and a leave ends a join under way', async () => {
  const guest = await world.stranger();
  expect(await guest.join('https://tavus.daily.co/nosuchroom', 'Guest')).toBe('no-room');
  const { name, url } = openRoom();
  world.rooms.refuseJoins(name, 'meeting-full', 1);
  expect(await guest.join(url, 'Guest')).toBe('meeting-full');
  expect(await guest.join(url, 'Guest')).toBe('joined');
  expect(world.rooms.eject(name, await guest.run<string>('me'))).toBe(true);
  const lastError = async (): Promise<string | undefined> =>
    (await guest.events()).findLast((event) => event.name === 'error')?.error;
  await until(async () => (await lastError()) === 'ejected', 'the ejection');
  expect(await guest.join(url, 'Guest')).toBe('joined');
  world.rooms.close(name, 'exp-room');
  await until(async () => (await lastError()) === 'exp-room', 'the end of the room');
  expect(await guest.join(url, 'Guest')).toBe('exp-room');
  const hasty = await world.stranger();
  expect(await hasty.run('leaveWhileJoining', `${world.origin}/daily`, openRoom().url)).not.toBe('joined');
  await Promise.all([guest.close(), hasty.close()]);
});

it('a broken network is told, nobody is lost, and the sound goes on', async () => {
  const url = `${world.origin}/rooms/demo`;
  const [a, b] = await Promise.all([joined(url, 'A'), joined(url, 'B')]);
  const id = await a.run('me');
  world.rooms.interruptNetwork('demo', 600);
  const told = async (): Promise<unknown[]> =>
    (await a.events()).filter((event) => event.name === 'network-connection').map((event) => event.event);
  await until(async () => (await told()).length === 3, 'the return');
  expect(await told()).toEqual(['connected', 'interrupted', 'connected']);
  expect(await a.run('me')).toBe(id);
  expect((await b.events()).filter((event) => event.name === 'participant-left')).toEqual([]);
  expect(world.rooms.rooms().find((room) => room.name === 'demo')?.participants).toHaveLength(2);
  await Promise.all([a.close(), b.close()]);
  await until(() => !world.rooms.rooms().some((room) => room.name === 'demo'), 'the empty room to go');
});

it('the watch page shows the avatar', async () => {
  const { name } = openRoom();
  const replica = await world.replica(name);
  const page = await world.page(`${world.origin}/watch/${name}`);
  await page.waitForSelector(
    'body[data-state="joined"][data-has-video="true"][data-stage="Avatar"][data-width="320"]',
    { timeout: 8_000 },
  );
  const fps = await until(
    async () => Math.max(0, Number(await page.getAttribute('body', 'data-fps')) - 8),
    'the frame rate',
  );
  expect(fps).toBeGreaterThanOrEqual(1);
  expect(await page.textContent('#people')).toBe('Guest (you)Avatar');
  await Promise.all([replica.stop(), page.context().close()]);
});

it('two call objects in one page, the code loaded as a script, are two participants', async () => {
  const url = `${world.origin}/rooms/twice`;
  const page = await world.stranger();
  expect(await page.run('joinTwice', `${world.origin}/daily`, url)).toEqual(['One', 'Two']);
  expect(
    world.rooms
      .rooms()
      .find((room) => room.name === 'twice')
      ?.participants.map((participant) => participant.userName),
  ).toEqual(['Two']);
  await page.close();
});

it('a frozen avatar sends no more frames until told otherwise', async () => {
  const { name, url } = openRoom();
  const viewer = await joined(url, 'Viewer');
  const replica = await world.replica(name);
  await until(async () => (await viewer.run('trackState', 'Avatar', 'video')) === 'playable', 'the picture');
  replica.freezeVideo(true);
  const isStill = async (): Promise<boolean> => (await viewer.run<number>('framesWithin', 'Avatar', 600)) === 0;
  await until(isStill, 'the freeze');
  replica.freezeVideo(false);
  expect(await until(async () => !(await isStill()), 'the thaw')).toBe(true);
  await Promise.all([replica.stop(), viewer.close()]);
});

it('no page asked for anything outside this machine', () => {
  expect(world.outside).toEqual([]);
});
