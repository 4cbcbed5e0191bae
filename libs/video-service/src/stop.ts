import { sleep, type Clock } from '@tavus-fleet/lifecycle';

// From our last sample to the replica's last sound lies its own rendering delay, which nobody tells us: quiet for this long
// after the last sample means that it is through (our choice; the default is above any delay seen with the simulator).
const QUIET_MS = 1_200;
const LOOK_MS = 50;

/** What is known of what was said. `lastSoundAt`: when the replica got its last sample, ms since 1970; 0 = never any. */
export interface Heard {
  lastSoundAt(): number;
  speaking(): boolean;
}

/** Waits until the replica has said all it was given: silent for QUIET_MS on end, counted from our last sample at the earliest. */
export async function untilQuiet(heard: Heard, clock: Clock, signal: AbortSignal): Promise<void> {
  if (heard.lastSoundAt() === 0) return;
  let quietSince = heard.speaking() ? undefined : heard.lastSoundAt();
  for (;;) {
    if (heard.speaking()) quietSince = undefined;
    else quietSince ??= clock.now();
    if (quietSince !== undefined && clock.now() - Math.max(quietSince, heard.lastSoundAt()) >= QUIET_MS) return;
    await sleep(clock, LOOK_MS, signal);
  }
}
