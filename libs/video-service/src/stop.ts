import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { Speech } from './speech.ts';

// From our last sample to the replica's last sound lies its own rendering delay, which nobody tells us: quiet for this long
// after the last sample means that it is through (our choice; the default is above any delay seen with the simulator).
const QUIET_MS = 1_200;
const LOOK_MS = 50;

/** Waits until the replica has said all it was given: silent for QUIET_MS on end, counted from our last sample at the earliest. */
export async function untilQuiet(speech: Speech, clock: Clock, signal: AbortSignal): Promise<void> {
  if (speech.lastSoundAt === 0) return;
  let quietSince = speech.replicaSpeaking ? undefined : speech.lastSoundAt;
  for (;;) {
    if (speech.replicaSpeaking) quietSince = undefined;
    else quietSince ??= clock.now();
    if (quietSince !== undefined && clock.now() - Math.max(quietSince, speech.lastSoundAt) >= QUIET_MS) return;
    await sleep(clock, LOOK_MS, signal);
  }
}
