import {
  errorCodes,
  FleetError,
  type ConversationRecord,
  type EndReason,
  type ErrorCode,
  type EventPayload,
  type Ownership,
} from '@tavus-fleet/contracts';
import type { Predecessor } from '@tavus-fleet/redis';
import type { Participant } from '@tavus-fleet/rooms';
import { isFinalShutdown, shutdownMeaning } from '@tavus-fleet/tavus';
import type { Ending } from './ending.ts';

/** Owners that a conversation may bring down in a row, each before a minute of calm; then nobody opens a page for it any more. */
const MAX_CRASHES = 3;
/** A Tavus conversation whose replica is lost is begun anew so often; then the conversation ends. */
const MAX_REPLACEMENTS = 1;
/** A session that ran for so long before it lost its room lost it to something new. */
const CALM_MS = 60_000;

/** The promise: positions are saved every 350 ms of speech, reported by the page every 100 (checkpoints.ts). */
const MAY_REPEAT_MS = 500;

/** How the next session on the same worker begins, after one that could not go on. */
export type Again = {
  /** What the old one could not get over. */
  readonly after: FleetError;
  /** Go back into the same Tavus room, or end that conversation and begin another. */
  readonly tavus: 'rejoin' | 'replace';
};

/** What a session finds of those before it: an owner that was lost, its own worker's session that could not go on, or an owner that gave it away. */
export type Succession = { readonly predecessor?: Predecessor; readonly again?: Again; readonly handedOver?: boolean };

/** Why a new owner only cleans up, if so: what was asked or begun before it is finished, and what brings workers down is given up. */
export function onlyCleansUp(
  record: Pick<ConversationRecord, 'state' | 'desired' | 'stopReason'>,
  { predecessor, handedOver = false }: Succession,
): EndReason | undefined {
  const crashes = predecessor?.crashes ?? 0;
  const asked = record.desired && (record.desired === 'cancel' ? 'canceled' : 'stopped');
  // A cancel beats a stop that is under way; every other reason to stop was there before it was asked.
  if (record.state === 'stopping') {
    const { stopReason = 'internal' } = record;
    return stopReason === 'stopped' || record.stopReason === undefined ? (asked ?? stopReason) : stopReason;
  }
  // An heir sits in its rooms already: it plays what was accepted before the stop, whose mark stands behind that in the stream.
  if (asked && !(handedOver && record.desired === 'stop')) return asked;
  return crashes >= MAX_CRASHES ? 'quarantined' : undefined;
}

/** How long a session may take to be live, ms: a start from when it was asked for, the queue included; a running conversation's successor from now. */
export function startLimitMs({ spec, liveAt, createdAt }: ConversationRecord, nowMs: number): number {
  const limitMs = spec.limits.startTimeoutSeconds * 1_000;
  return liveAt === undefined ? Math.max(0, limitMs - Math.max(0, nowMs - createdAt)) : limitMs;
}

/** What is known of a session that cannot go on. */
export type Circumstances = {
  /** The conversation is live, or was. */
  readonly wasLive: boolean;
  readonly liveMs: number;
  readonly replacements: number;
  /** How this session itself had begun. */
  readonly again: Again | undefined;
  /** It sits in a Tavus conversation that an earlier session made. */
  readonly inherited: boolean;
};

/**
 * What follows when a session cannot go on by itself: the next session on this worker, or the end. The only list.
 *
 * page or browser gone      our fault: a new page in the same room; Redis counts, and the third in a row is quarantined
 * connection lost, ejected  back into the same room, once; lost again before a minute of calm counts as a lost replica
 * replica left, still, mute one new Tavus conversation; then the end. The same for an inherited room that lets nobody in
 * nothing heard of it       published once more in the same room; then one new Tavus conversation
 * Tavus' own limits         the end (a new conversation would cost what the plan has not got)
 */
export function whatFollows(
  error: FleetError,
  { wasLive, liveMs, replacements, again, inherited }: Circumstances,
): Ending {
  const rejoin: Ending = { how: 'again', again: { after: error, tavus: 'rejoin' } };
  const isRepeated = again !== undefined && liveMs < CALM_MS;
  const replace = (): Ending =>
    replacements < MAX_REPLACEMENTS
      ? { how: 'again', again: { after: error, tavus: 'replace' } }
      : { how: 'cancel', reason: endReasonOf(error, wasLive), error };
  switch (error.code) {
    case 'lease-lost':
      return { how: 'abandon', reason: 'lease-lost' };
    case 'page-crashed':
    case 'page-silent':
      return rejoin;
    case 'browser-failed':
      // Before it was live that is a browser which does not start: the next page would not open either.
      return wasLive ? rejoin : { how: 'cancel', reason: 'start-failed', error };
    case 'room-lost':
    case 'room-ejected':
      return isRepeated ? replace() : rejoin;
    case 'replica-unheard':
      return isRepeated && again.after.code === 'replica-unheard' ? replace() : rejoin;
    case 'room-join-failed':
    case 'replica-absent':
      return inherited ? replace() : { how: 'cancel', reason: endReasonOf(error, wasLive), error };
    case 'replica-lost':
      return replace();
    default:
      return { how: 'cancel', reason: endReasonOf(error, wasLive), error };
  }
}

/** The user room is lost: its host may throw us out for good; a connection that broke is tried once more, by the next session. */
export function afterUserRoom({ code, reason }: { code: ErrorCode; reason: string }, again: Again | undefined): Ending {
  const error = new FleetError('user-room-refused', reason);
  return code === 'room-lost' && again?.after.code !== error.code
    ? { how: 'again', again: { after: error, tavus: 'rejoin' } }
    : { how: 'cancel', reason: 'user-room-refused', error };
}

/** What Tavus' word that the call is over means for us. `liveMs`: how long it was live; `askedMs`: how long it was to be at most. */
export function errorOfShutdown(reason: string, liveMs: number, askedMs: number): FleetError {
  const { code, says } = shutdownMeaning(reason, liveMs < askedMs);
  return new FleetError(code !== 'tavus-credits' && isFinalShutdown(reason) ? 'tavus-over' : code, says);
}

/** Whether the old session counts as an owner that was brought down. */
export function isCrash({ after }: Again): boolean {
  return after.code === 'page-crashed' || after.code === 'page-silent' || after.code === 'browser-failed';
}

/** The end reason of a conversation that cannot go on because of this error. */
export function endReasonOf(error: FleetError, wasLive: boolean): EndReason {
  switch (error.code) {
    case 'tavus-auth':
    case 'tavus-credits':
    case 'user-room-refused':
    case 'replica-lost':
      return error.code;
    case 'tavus-over':
      return 'tavus-ended';
    case 'room-ejected':
    case 'room-lost':
      return wasLive ? 'tavus-ended' : 'start-failed';
    case 'replica-absent':
      return wasLive ? 'replica-lost' : 'start-timeout';
    case 'internal':
      return 'internal';
    default:
      if (!wasLive) return 'start-failed';
      return errorCodes[error.code].blame === 'provider' ? 'replica-lost' : 'internal';
  }
}

/** The event that tells of a succession; none for an owner that nobody was lost before. */
export function takeoverOf(
  record: Pick<ConversationRecord, 'positionAt'>,
  { predecessor, again }: Succession,
  isOpen: boolean,
  nowMs: number,
): EventPayload<'takeover'> | undefined {
  if (!predecessor) return undefined;
  const lastSign = Math.max(predecessor.seenAt, record.positionAt ?? 0);
  // What a lost owner played after it last said so; an own session had the time to say it.
  const mayRepeatMs = isOpen && !again ? MAY_REPEAT_MS : 0;
  return { fromEpoch: predecessor.epoch, gapMs: Math.max(0, Math.round(nowMs - lastSign)), mayRepeatMs };
}

/** What an earlier session of the same conversation left in a room: its participant stays for a while after it died. */
export function isGhostOf({ conversationId, epoch }: Ownership, { userData }: Participant): boolean {
  return (
    typeof userData === 'object' &&
    userData !== null &&
    'conversationId' in userData &&
    userData.conversationId === conversationId &&
    'epoch' in userData &&
    typeof userData.epoch === 'number' &&
    userData.epoch < epoch
  );
}
