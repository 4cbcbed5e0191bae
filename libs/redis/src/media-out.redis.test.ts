import {
  parseAudioEntry,
  parseUserAudioEntry,
  parseVideoEntry,
  StartRequest,
  type AudioEntry,
  type Ownership,
  type UserAudioEntry,
  type VideoEntry,
} from '@tavus-fleet/contracts';
import { redisFixture } from '@tavus-fleet/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { readEntries, type StreamEntry } from './entries.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { keptBytes, mediaOut } from './media-out.ts';
import { Records } from './records.ts';

const fixture = redisFixture({ allow: /:(record|events)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys });
let id = '';
let count = 0;
beforeEach(() => (id = `m${++count}`));

async function own(): Promise<Ownership> {
  await records.create({ request: StartRequest.parse({ replicaId: 'r1' }), createdBy: 'k', conversationId: id });
  const acquired = await leases.acquire(id, 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  return acquired.ownership;
}
const entriesOf = async (stream: string): Promise<readonly StreamEntry[]> =>
  readEntries(await redis.xrangeBuffer(stream, '-', '+'));

const sound = (pts: number, bytes = 960): AudioEntry => ({
  rate: 24_000,
  channels: 1,
  audio: Buffer.alloc(bytes, 7),
  pts,
});
const voice = (participant: string): UserAudioEntry => ({ ...sound(2), participant });
const picture = (key: boolean): VideoEntry => ({
  format: 'vp8',
  width: 640,
  height: 360,
  pts: 3.5,
  key,
  frame: Buffer.alloc(9, 1),
});

describe('mediaOut', () => {
  it('appends what the parsers of the contract read back, in order, and gives each stream a TTL', async () => {
    const out = mediaOut(redis, keys, await own());
    expect(await out.audio([sound(0), sound(20)])).toBe(true);
    expect(await out.audio([sound(40)])).toBe(true);
    expect(await out.userAudio([voice('ada'), voice('bob')])).toBe(true);
    expect(await out.video([picture(true), picture(false)])).toBe(true);
    const { audio, userAudio, video } = keys.conversation(id);
    expect((await entriesOf(audio)).map(({ fields }) => parseAudioEntry(fields))).toEqual(
      [0, 20, 40].map((pts) => ({ entry: sound(pts) })),
    );
    expect((await entriesOf(userAudio)).map(({ fields }) => parseUserAudioEntry(fields))).toEqual([
      { entry: voice('ada') },
      { entry: voice('bob') },
    ]);
    expect((await entriesOf(video)).map(({ fields }) => parseVideoEntry(fields))).toEqual([
      { entry: picture(true) },
      { entry: picture(false) },
    ]);
    for (const stream of [audio, userAudio, video]) expect(await redis.ttl(stream)).toBeGreaterThan(3_500);
  });

  it('adds nothing for an owner that is none any more', async () => {
    const owner = await own();
    const stale = mediaOut(redis, keys, { ...owner, nonce: 'n'.repeat(owner.nonce.length) });
    expect(await stale.audio([sound(0)])).toBe(false);
    expect(await redis.exists(keys.conversation(id).audio)).toBe(0);
  });

  it('keeps half a minute', async () => {
    const { audio } = keys.conversation(id);
    const out = mediaOut(redis, keys, await own());
    const [seconds] = await redis.time();
    const old = (age: number): string => `${(Number(seconds) - age) * 1_000}-0`;
    for (const age of [40, 35, 20]) await redis.xadd(audio, old(age), 'audio', Buffer.alloc(8_000));
    await out.audio([sound(0)]);
    expect((await entriesOf(audio)).map(({ id: entry }) => entry).slice(0, -1)).toEqual([old(20)]);
  });

  it('keeps no more bytes than its bound', async () => {
    const { audio } = keys.conversation(id);
    const out = mediaOut(redis, keys, await own());
    for (let pts = 0; pts < 100; pts += 1) await out.audio([sound(pts, 100_000)]);
    const kept = await entriesOf(audio);
    const bytes = kept.reduce((sum, { fields }) => sum + (fields.get('audio')?.byteLength ?? 0), 0);
    expect(bytes).toBeLessThanOrEqual(keptBytes.audio);
    expect(bytes).toBeGreaterThan(keptBytes.audio - 300_000);
    const times = kept.map(({ fields }) => Number(fields.get('pts')));
    expect(times).toEqual(Array.from({ length: kept.length }, (_, at) => 100 - kept.length + at));
  });
});
