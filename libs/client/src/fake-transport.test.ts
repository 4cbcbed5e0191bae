// The fake keeps the same promises as the real ways, or tests on it would say nothing about them.
import { audioFields } from '@tavus-fleet/contracts';
import { vi } from 'vitest';
import { FakeTransport } from './fake-transport.ts';
import { transportContract } from './transport.contract.ts';

transportContract('FakeTransport', async () => {
  const transport = new FakeTransport();
  return {
    transport,
    cut: () => undefined, // it has no connections
    frames: (id) => transport.of(id).frames,
    playing: async (on) => transport.playing(on),
    tell: async (id, event) => transport.of(id).tell(event),
    addAudio: async (id, count) => {
      for (let at = 0; at < count; at += 1) {
        const fields = audioFields({ rate: 24_000, channels: 1, audio: new Uint8Array(2), pts: 1_000 + at * 20 });
        const pairs = fields.map((field) => (typeof field === 'string' ? Buffer.from(field) : field));
        const entry = new Map(
          Array.from({ length: pairs.length / 2 }, (_, i) => [
            String(pairs[2 * i]),
            pairs[2 * i + 1] ?? new Uint8Array(),
          ]),
        );
        transport.of(id).media.audio.push({ id: `${at + 1}-0`, fields: entry });
      }
    },
    until: (condition) => vi.waitUntil(condition, { timeout: 2_000, interval: 1 }).then(() => undefined),
    end: async () => undefined,
  };
});
