import { createKeys } from '@tavus-fleet/redis';
import { Redis } from 'ioredis';
import type { Latencies } from './latencies.ts';

/** The baseline: one blocking connection over the same streams, and of each entry only the stamp is taken. */
export async function readBare(
  url: string,
  prefix: string,
  conversations: number,
  latencies: Latencies,
): Promise<void> {
  const keys = createKeys(prefix);
  const streams = Array.from({ length: conversations }, (_, index) => keys.conversation(`c${index}`).frames);
  const places = new Map(streams.map((key, index) => [key, index]));
  const ids = streams.map(() => '0');
  const redis = new Redis(url);
  await redis.ping();
  void (async () => {
    for (;;) {
      const reply = await redis.xreadBuffer('COUNT', 128, 'BLOCK', 1_000, 'STREAMS', ...streams, ...ids);
      for (const [key, entries] of reply ?? []) {
        const place = places.get(key.toString());
        for (const [id, fields] of entries) {
          // `type`, its value, `rate`, its value, `channels`, its value, `audio`, the PCM: as the producer writes them.
          const pcm = fields[7];
          if (pcm) latencies.arrived(pcm);
          if (place !== undefined) ids[place] = id.toString();
        }
      }
    }
  })();
}
