// The examples, run as their first lines say, against the whole stack: what the replica heard is the file that they were given.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeWav } from '@tavus-fleet/audio';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { between, boundsMs, expectWhole, figures, judge } from './fixtures/judge.ts';
import { lipLag, syllables } from './fixtures/lip-sync.ts';
import { RATE } from './fixtures/producer.ts';
import { readRecording } from './fixtures/recording.ts';
import { inTime } from './fixtures/streams.ts';
import { eventually, untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const View = z.object({ tavusConversationId: z.string() });

const examples = resolve(import.meta.dirname, '../../examples');
const folder = mkdtempSync(join(tmpdir(), 'examples-'));
const speech = join(folder, 'speech.wav');
const sent = chirpWalk({ rate: RATE, ms: 3_000, seed: 101 });

let world: World;

beforeAll(async () => {
  writeFileSync(speech, writeWav({ rate: RATE, channels: 1, samples: sent }));
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command; answers its exit code (undefined: there is no such command) and what it printed. */
async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: unknown; output: string }> {
  const child = spawn(command, args, { env: { PATH: process.env['PATH'], ...env }, timeout: 40_000 });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const failed = once(child, 'error').then(() => undefined);
  const code = await Promise.race([once(child, 'close').then(([exit]: unknown[]) => exit), failed]);
  return { code, output: Buffer.concat(chunks).toString() };
}

async function expectHeard(what: string, output: string): Promise<void> {
  const id = /^conversation (\S+)$/m.exec(output)?.[1] ?? '';
  const view = View.parse(await (await world.caller.ask('GET', `/v1/conversations/${id}`)).json());
  const heard = judge(sent, await world.sim.heard(view.tavusConversationId));
  figures(`example ${what}`, { heard });
  expectWhole(heard);
  expect(output).toMatch(/^event tts-started /m);
  expect(output).toMatch(/^ended stopped$/m);
}

it.each(['over the api', 'through Redis'])('node-backend.ts %s', async (way) => {
  const { api, apiKey, redisUrl } = world.stack;
  const overApi = { FLEET_API: api.url, FLEET_KEY: apiKey };
  const env = way === 'through Redis' ? { FLEET_REDIS: redisUrl } : overApi;
  const { code, output } = await run(process.execPath, [join(examples, 'node-backend.ts'), speech], env);
  expect({ code, output }).toMatchObject({ code: 0 });
  expect(output).toContain('played {"whole":true,"playedMs":3000}');
  await expectHeard(`node-backend ${way}`, output);
});

it('voice-agent.ts: a user speaks, is understood, and hears the answer', async () => {
  const until = AbortSignal.timeout(60_000);
  const url = `${world.sim.url}/rooms/agent`;
  const joining = { url, bundle: `${world.sim.url}/daily`, userName: 'Ada', gives: true };
  const user = await world.users.join(joining, until);
  const env = { FLEET_REDIS: world.stack.redisUrl, ROOM: url };
  const agent = run(process.execPath, [join(examples, 'voice-agent.ts'), speech], env);
  await untilPictures(user, 3);
  const fromMs = Date.now();
  await user.say(chirpWalk({ rate: RATE, ms: 2_000, seed: 102 }), until);
  const samples = async (): Promise<number> => (await user.counts(until)).samples;
  const before = await samples();
  // The question, the answer and what lies between.
  await eventually('the answer was heard', async () => (await samples()) - before > 9 * RATE, 30_000);
  const heard = judge(sent, between(await user.report(until), fromMs, Date.now()));
  await user.leave(until);
  const { code, output } = await agent;
  expect({ code, output }).toMatchObject({ code: 0 });
  expect(output).toMatch(/^understood [12]\.\d s of speech$/m);
  expect(output).toContain('answered {"interrupted":false,"whole":true,"playedMs":3000}');
  expect(output).toMatch(/^ended stopped$/m);
  figures('example voice-agent', { heard });
  expectWhole(heard);
});

it('record-avatar.ts: a file with the avatar’s own pictures and its voice, lips and sound together', async () => {
  const path = join(folder, 'avatar.webm');
  const words = join(folder, 'syllables.wav');
  const spoken = syllables(chirpWalk({ rate: RATE, ms: 6_000, seed: 103 }), 104);
  writeFileSync(words, writeWav({ rate: RATE, channels: 1, samples: spoken }));
  const env = { FLEET_REDIS: world.stack.redisUrl };
  const { code, output } = await run(process.execPath, [join(examples, 'record-avatar.ts'), words, path], env);
  expect({ code, output }).toMatchObject({ code: 0 });
  expect(output).toMatch(/^ended stopped$/m);
  const { pictures, blocks, ...file } = await readRecording(path);
  const read = await world.users.read(pictures, AbortSignal.timeout(30_000));
  const frames = read.flatMap(({ reading }) => (reading ? [reading.frame] : []));
  const mouths = read.flatMap(({ pts, reading }) => (reading ? [{ pts, mouth: reading.mouth }] : []));
  const heard = inTime(blocks);
  const judged = judge(spoken, heard);
  const lips = lipLag(heard, blocks[0]?.pts ?? 0, mouths);
  figures('example record-avatar', { ...file, pictures: pictures.length, read: mouths.length, lips, judged });
  expect(file).toMatchObject({ container: 'WebM', videoCodec: 'vp8', audioCodec: 'opus' });
  expect(file.seconds).toBeGreaterThan(6);
  expect(pictures[0]).toMatchObject({ key: true, pts: 0 });
  expect(mouths.length).toBeGreaterThan(45); // 10 a second
  expect(frames.every((frame, at) => at === 0 || frame >= (frames[at - 1] ?? 0))).toBe(true);
  expect(judged.correlation).toBeGreaterThan(0.9);
  expect(judged.longestMissingMs).toBeLessThanOrEqual(400 + boundsMs.gap); // a pause between two syllables is like nothing that was sent
  expect(lips.correlation).toBeGreaterThan(0.6);
  expect(Math.abs(lips.lagMs)).toBeLessThanOrEqual(process.env['CI'] ? 120 : 60);
});

it('python_backend.py', async ({ skip }) => {
  const { api, apiKey, redisUrl } = world.stack;
  const env = { FLEET_API: api.url, FLEET_KEY: apiKey, FLEET_REDIS: redisUrl };
  const { code, output } = await run('python3', [join(examples, 'python_backend.py'), speech], env);
  if (code === undefined) {
    process.stdout.write('python_backend.py was not run: there is no python3 on this machine\n');
    skip();
  }
  expect({ code, output }).toMatchObject({ code: 0 });
  await expectHeard('python-backend', output);
});
