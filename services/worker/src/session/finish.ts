import { asFleetError, finalState } from '@tavus-fleet/contracts';
import { retry, withDeadline } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import type { TavusVideoService } from '@tavus-fleet/video-service';
import type { Checkpoints } from './checkpoints.ts';
import type { SessionDeps } from './deps.ts';
import type { Ending } from './ending.ts';
import type { EventWriter } from './event-writer.ts';
import type { SessionOutput } from './output.ts';

const FLUSH_MS = 2_000;
const CLOSE_MS = 5_000;
// Redis may be away for a while; until it says who owns the conversation nobody may end it at Tavus.
const UNTIL_KNOWN = { attempts: Number.POSITIVE_INFINITY, firstMs: 200, maxMs: 1_000, when: () => true };

export type Acquired = {
  readonly deps: SessionDeps;
  readonly room: Room | undefined;
  readonly service: TavusVideoService | undefined;
  readonly events: EventWriter;
  readonly checkpoints: Checkpoints;
  readonly output: SessionOutput;
  /** Aborts when the worker cannot wait any longer: what is not done then is left to the reaper and Tavus' own timeouts. */
  readonly hurry: AbortSignal;
};

/**
 * Gives a session back, bottom to top: move to `stopping` (fenced: from here on nobody else may end it) → drain or not →
 * rooms → Tavus conversation → record → page. Every step runs though another failed. Never rejects.
 */
export async function finish(ending: Ending, acquired: Acquired): Promise<void> {
  const { deps, room, events, checkpoints } = acquired;
  const owned = ending.how !== 'abandon' && (await step(acquired, 'stopping', () => move(acquired))) === true;
  if (ending.how !== 'abandon' && owned) await giveBack(ending, acquired);
  else await leaveSilently(acquired);
  checkpoints.close();
  events.close();
  await step(acquired, 'page', () => withDeadline({ ms: CLOSE_MS, what: 'Closing the page', clock: deps.clock }, async () => room?.close()));
}

async function giveBack(ending: Exclude<Ending, { how: 'abandon' }>, acquired: Acquired): Promise<void> {
  const { deps, service, events, checkpoints, output, hurry } = acquired;
  if (ending.error) output.error(ending.error.code, ending.error.message, true, ending.error.field);
  if (ending.how === 'stop') await step(acquired, 'service', async () => service?.stop(hurry));
  else await step(acquired, 'service', async () => service?.cancel(hurry));
  await step(acquired, 'cleanup', async () => service?.cleanup(hurry));
  await checkpoints.now();
  await withDeadline({ ms: FLUSH_MS, what: 'Writing the last events', clock: deps.clock }, (signal) => events.flush(signal)).catch((error: unknown) => warn(acquired, 'events', error));
  await step(acquired, 'record', () => retry(UNTIL_KNOWN, { signal: hurry, clock: deps.clock }, () => deps.records.end(ending.reason)));
  deps.meters.ended(ending.reason);
  deps.log.info({ endReason: ending.reason, state: finalState(ending.reason), ...output.summary() }, 'session ended');
}

/** The Tavus conversation lives on with its new owner: our bots vanish from the rooms and nothing is said about it. */
async function leaveSilently(acquired: Acquired): Promise<void> {
  const { deps, room, service, events } = acquired;
  events.close();
  await step(acquired, 'service', async () => service?.abandon());
  await step(acquired, 'rooms', async () => room?.leave());
  deps.log.warn({ ...acquired.output.summary() }, 'session abandoned: another worker owns the conversation');
}

/** True when the record says `stopping` under our ownership; false when it names another owner. */
async function move({ deps, hurry }: Acquired): Promise<boolean> {
  const outcome = await retry(UNTIL_KNOWN, { signal: hurry, clock: deps.clock }, () => deps.records.moveTo('stopping'));
  return outcome !== 'fenced';
}

async function step<T>(acquired: Acquired, name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    warn(acquired, name, error);
    return undefined;
  }
}

function warn({ deps }: Acquired, step: string, thrown: unknown): void {
  const { code, message } = asFleetError(thrown);
  deps.log.warn({ step, code, reason: message }, 'a step of the release failed; the others go on');
}
