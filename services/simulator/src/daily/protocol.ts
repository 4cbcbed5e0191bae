/**
 * The wire between our call machine (browser) and our room server: JSON text messages over one WebSocket per joined call.
 * The protocol is ours; only what daily-js sees is Daily's. Everything from a page is parsed here, once, and bounded.
 */
import { z } from 'zod';
import type { RoomError } from '../room-error.ts';

/** daily-js' own fallback when a meeting names no limit (observed with 0.92.2); counted in UTF-16 units of the JSON text. */
export const DEFAULT_APP_MESSAGE_LIMIT = 4096;
/** Largest WebSocket message accepted: far above an SDP or an app message with a raised limit. */
export const MAX_WIRE_BYTES = 512 * 1024;

const SessionId = z.string().min(1).max(64);
const TrackKey = z.string().min(1).max(50);
const Sdp = z.string().max(200_000);

/** One published track. `blocked` says why a wanted device gives nothing (`byDeviceMissing`, …). */
export const WireTrack = z.object({
  kind: z.enum(['audio', 'video']),
  on: z.boolean(),
  blocked: z.string().max(40).optional(),
});
export type WireTrack = z.infer<typeof WireTrack>;

const Tracks = z
  .record(TrackKey, WireTrack)
  .refine((tracks) => Object.keys(tracks).length <= 32, { message: 'more than 32 tracks' });
/** Daily limits userData to 4096 characters of JSON (documented). */
const UserData = z
  .unknown()
  .refine((data) => (JSON.stringify(data) ?? '').length <= 4096, { message: 'userData larger than 4096' });

/** `pc` numbers the peer connections of one direction, so that a late message of a replaced one is recognised. */
const Pc = z.string().max(40);
export const Signal = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('want'), keys: z.array(TrackKey).max(32) }),
  z.object({ kind: z.literal('offer'), pc: Pc, sdp: Sdp, mids: z.record(z.string().max(16), TrackKey) }),
  z.object({ kind: z.literal('answer'), pc: Pc, sdp: Sdp }),
  z.object({
    kind: z.literal('candidate'),
    pc: Pc,
    sentBy: z.enum(['publisher', 'subscriber']),
    candidate: z.object({
      candidate: z.string().max(2000),
      sdpMid: z.string().max(64).nullable().optional(),
      sdpMLineIndex: z.number().int().nullable().optional(),
      usernameFragment: z.string().max(300).nullable().optional(),
    }),
  }),
]);
export type Signal = z.infer<typeof Signal>;

export const ClientMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('join'),
    url: z.string().max(2048),
    token: z.string().max(8192).optional(),
    userName: z.string().max(256).optional(),
    userId: z.string().max(64).optional(),
    userData: UserData.optional(),
    /** Proof that this is the simulator's own replica page; see `admitReplica`. */
    replicaKey: z.string().max(64).optional(),
    tracks: Tracks,
  }),
  z.object({ type: z.literal('resume'), sessionId: SessionId, secret: z.string().max(64) }),
  z.object({
    type: z.literal('update'),
    tracks: Tracks.optional(),
    userName: z.string().max(256).optional(),
    userData: UserData.optional(),
  }),
  z.object({ type: z.literal('signal'), to: SessionId, data: Signal }),
  z.object({
    type: z.literal('app-message'),
    to: z.union([SessionId, z.array(SessionId).max(256)]),
    data: z.unknown(),
  }),
  z.object({ type: z.literal('leave') }),
]);
export type ClientMessage = z.infer<typeof ClientMessage>;

export type WireParticipant = {
  readonly sessionId: string;
  readonly userId: string;
  readonly userName: string;
  readonly userData: unknown;
  /** Milliseconds since 1970. */
  readonly joinedAt: number;
  readonly tracks: Readonly<Record<string, WireTrack>>;
};

export type ServerMessage =
  | {
      readonly type: 'joined';
      readonly meetingId: string;
      readonly secret: string;
      readonly self: WireParticipant;
      readonly others: readonly WireParticipant[];
      /** Which of its network addresses the page may offer to the others. */
      readonly candidates: 'loopback' | 'all';
      readonly appMessageLimit?: number;
    }
  /** Answer to `resume`: the participants as they are now; what was sent meanwhile follows. */
  | { readonly type: 'resumed'; readonly others: readonly WireParticipant[] }
  | { readonly type: 'participant'; readonly participant: WireParticipant; readonly isNew: boolean }
  | { readonly type: 'participant-left'; readonly sessionId: string }
  | { readonly type: 'signal'; readonly from: string; readonly data: Signal }
  | { readonly type: 'app-message'; readonly from: string; readonly data: unknown }
  /** The call is over for this page: a refused join, an ejection, a closed room. The server hangs up after it. */
  | { readonly type: 'fatal'; readonly error: RoomError; readonly message: string };
