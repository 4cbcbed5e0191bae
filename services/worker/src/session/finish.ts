import { asFleetError } from '@tavus-fleet/contracts';
import { retry, withDeadline } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import { summaryLine, type SessionSummary } from '@tavus-fleet/telemetry';
import type { TavusVideoService } from '@tavus-fleet/video-service';
import type { Checkpoints } from './checkpoints.ts';
import type { SessionDeps, SessionProgress } from './deps.ts';
import type { Ending } from './ending.ts';
import type { Endings } from './endings.ts';
import type { EventWriter } from './event-writer.ts';
import type { Inheritance } from './inheritance.ts';
import type { SessionOutput } from './output.ts';

const FLUSH_MS = 2_000;
const LEAVE_MS = 3_000;
const CLOSE_MS = 5_000;
// Redis may be away for a while; until it says who owns the conversation nobody may end it at Tavus.
const UNTIL_KNOWN = { attempts: Number.POSITIVE_INFINITY, firstMs: 200, maxMs: 1_000, when: () => true };

export type Acquired = {
  readonly deps: SessionDeps;
  readonly room: Room | undefined;
  readonly service: TavusVideoService | undefined;
  readonly inheritance: Inheritance | undefined;
  readonly events: EventWriter;
  readonly checkpoints: Checkpoints;
  readonly output: SessionOutput;
  readonly progress: () => SessionProgress;
  /** Since when it is live, by our clock; undefined: it never was. */
  readonly liveAt: number | undefined;
  /** May become stronger while we work: a cancel cuts a drain short, a lost lease ends it without a word. */
  readonly endings: Endings;
  /** Stops listening to the backend: system frames count until everything is played. */
  readonly deaf: () => void;
  /** Aborts when the worker cannot wait any longer: what is not done then is left to the reaper and Tavus' own timeouts. */
  readonly giveUp: AbortSignal;
};

/**
 * Gives a session back, bottom to top: move to `stopping` (fenced: from here on nobody else may end it) → drain or not →
 * rooms → Tavus conversation → record → page. Every step runs though another failed. Never rejects. Answers how it ended.
 */
export async function finish(first: Ending, acquired: Acquired): Promise<Ending> {
  if (first.how === 'again') return makeWay(first, acquired);
  if (first.how === 'handed-over') return handedOver(first, acquired);
  const { deps, checkpoints, deaf, endings } = acquired;
  const closingAt = deps.clock.now();
  const owned = first.how !== 'abandon' && (await moveAndSilence(first, acquired));
  const ending = owned ? await drained(acquired) : undefined;
  deaf();
  await checkpoints.close();
  if (ending?.how === 'stop' || ending?.how === 'cancel') await giveBack(ending, acquired);
  else await leaveSilently(acquired);
  await closeAll(acquired);
  const how: Ending = owned ? (endings.now ?? first) : { how: 'abandon', reason: 'lease-lost' };
  const isOurs = how.how === 'stop' || how.how === 'cancel';
  story(acquired, closingAt, isOurs ? { endReason: how.reason, outcome: 'ended' } : { outcome: 'lost' });
  return how;
}

/**
 * For the next session on this worker: the record keeps its state and learns how far we came, the Tavus conversation runs on. What
 * is asked meanwhile stands in the record, and is obeyed by that session.
 */
async function makeWay(ending: Extract<Ending, { how: 'again' }>, acquired: Acquired): Promise<Ending> {
  const { deps, service, checkpoints, deaf, endings, events, output, progress } = acquired;
  const { after, tavus } = ending.again;
  deaf();
  await checkpoints.close();
  await step(acquired, 'service', async () => service?.abandon());
  await leave(acquired);
  output.error(after.code, after.message, false, after.field);
  const saved = await step(acquired, 'position', () => deps.records.checkpoint(progress()));
  await flush(acquired);
  await closeAll(acquired);
  deps.log.warn({ code: after.code, reason: after.message, tavus, ...output.summary() }, 'session begins anew');
  events.close();
  if (saved === 'fenced' || endings.now?.how === 'abandon') return { how: 'abandon', reason: 'lease-lost' };
  return ending;
}

/** The heir is live with it: everything of ours vanishes, nothing is written. */
async function handedOver(ending: Ending, acquired: Acquired): Promise<Ending> {
  const { deps, service, checkpoints, deaf, events } = acquired;
  const closingAt = deps.clock.now();
  deaf();
  events.close();
  await checkpoints.close();
  await step(acquired, 'service', async () => service?.abandon());
  await leave(acquired);
  await closeAll(acquired);
  story(acquired, closingAt, { outcome: 'handed-over' });
  return ending;
}

function story(
  { deps, output, liveAt }: Acquired,
  closingAt: number,
  how: Pick<SessionSummary, 'endReason' | 'outcome'>,
): void {
  summaryLine(deps.log, {
    ...how,
    ...output.summary(),
    closeMs: deps.clock.now() - closingAt,
    ...(liveAt === undefined ? {} : { liveMs: closingAt - liveAt }),
  });
}

async function closeAll(acquired: Acquired): Promise<void> {
  const { deps, room, events } = acquired;
  events.close();
  await step(acquired, 'page', () =>
    withDeadline({ ms: CLOSE_MS, what: 'Closing the page', clock: deps.clock }, async () => room?.close()),
  );
}

/** Leaving is nobody's to forbid, so a cancel is silent at once, also while Redis does not answer. True when the record is ours to end. */
async function moveAndSilence(
  first: Extract<Ending, { how: 'stop' | 'cancel' }>,
  acquired: Acquired,
): Promise<boolean> {
  const moving = step(acquired, 'stopping', () => move(first, acquired));
  if (first.how !== 'stop') await leave(acquired);
  return (await moving) === true;
}

/** Plays what was accepted, if that is how it ends; answers how it ends by now. */
async function drained(acquired: Acquired): Promise<Ending | undefined> {
  const { service, endings } = acquired;
  if (endings.now?.how === 'stop') await step(acquired, 'drain', async () => service?.drain(endings.cut));
  return endings.now;
}

async function giveBack(ending: Extract<Ending, { how: 'stop' | 'cancel' }>, acquired: Acquired): Promise<void> {
  const { deps, service, inheritance, output, giveUp, progress } = acquired;
  if (ending.error) output.error(ending.error.code, ending.error.message, true, ending.error.field);
  await step(acquired, 'service', async () => service?.cleanup(giveUp));
  await step(acquired, 'inheritance', async () => inheritance?.endAll(giveUp));
  await flush(acquired);
  // The last counters go with the last move: who reads the record after `ended` sees them.
  const ended = await step(acquired, 'record', () =>
    retry(UNTIL_KNOWN, { signal: giveUp, clock: deps.clock }, () => deps.records.end(ending.reason, progress())),
  );
  // Lost while it was being given back: its new owner finishes it, and counts it.
  if (ended === 'fenced') acquired.endings.set({ how: 'abandon', reason: 'lease-lost' });
  else deps.meters.ended(ending.reason);
}

async function flush(acquired: Acquired): Promise<void> {
  await step(acquired, 'events', () =>
    withDeadline({ ms: FLUSH_MS, what: 'Writing the last events', clock: acquired.deps.clock }, (signal) =>
      acquired.events.flush(signal),
    ),
  );
}

/** The Tavus conversation lives on with its new owner: our bots vanish from the rooms and nothing is said about it. */
async function leaveSilently(acquired: Acquired): Promise<void> {
  const { deps, service, events } = acquired;
  events.close();
  await step(acquired, 'service', async () => service?.abandon());
  await leave(acquired);
  deps.log.warn({}, 'session abandoned: another worker owns the conversation, or Redis did not say who does');
}

async function leave(acquired: Acquired): Promise<void> {
  await step(acquired, 'rooms', () =>
    withDeadline({ ms: LEAVE_MS, what: 'Leaving the rooms', clock: acquired.deps.clock }, async (signal) =>
      acquired.room?.leave(signal),
    ),
  );
}

/** True when the record says `stopping` under our ownership; false when it names another owner. */
async function move(
  { reason }: Extract<Ending, { how: 'stop' | 'cancel' }>,
  { deps, giveUp }: Acquired,
): Promise<boolean> {
  const outcome = await retry(UNTIL_KNOWN, { signal: giveUp, clock: deps.clock }, () => deps.records.stopping(reason));
  return outcome !== 'fenced';
}

async function step<T>(acquired: Acquired, name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = asFleetError(error);
    acquired.deps.log.warn({ step: name, code, reason: message }, 'a step of the release failed; the others go on');
    return undefined;
  }
}
