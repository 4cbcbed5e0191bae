import { z } from 'zod';
import type { PictureOptions } from './port.ts';

/**
 * The media channel between our process and one session's page: one WebSocket. Binary from Node: s16le PCM at 24 kHz for the
 * track `stream`. Binary from the page: sound of the same format and pictures, each with its time (media-message.ts). Text:
 * the JSON below. What comes from the page is
 * parsed with these schemas, because the page runs code of a vendor's CDN; page code imports the types only.
 */

export const Identity = z.object({ conversationId: z.string().min(1).max(64), epoch: z.int().nonnegative() });
export type Identity = Readonly<z.infer<typeof Identity>>;

/** What `page.call` hands to the page. The token travels only here and in the first message, never in a URL. */
export type Hello = {
  readonly token: string;
  readonly identity: Identity;
  /** Folder of the call machine's bundle; empty: Daily's own. */
  readonly bundleUrl: string;
};

const RoomName = z.enum(['tavus', 'user']);
const Id = z.string().min(1).max(128);
const Text = z.string().max(1_000);
const TrackState = z.enum(['blocked', 'off', 'sendable', 'loading', 'interrupted', 'playable']);
const Count = z.number().nonnegative();

export const WireParticipant = z.object({
  id: Id,
  userId: z.string().max(256).optional(),
  userName: z.string().max(512).optional(),
  userData: z.unknown().optional(),
  local: z.boolean(),
  tracks: z.record(z.string().max(64), TrackState),
});
export type WireParticipant = z.infer<typeof WireParticipant>;

export const WireJoined = z.object({
  participantId: Id,
  participants: z.array(WireParticipant).max(500),
  maxMessageLength: z.int().positive().max(10_000_000),
});
export type WireJoined = z.infer<typeof WireJoined>;
export const WireFlushed = z.object({ playedSamples: Count });

export const WireEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('participant-joined'), room: RoomName, participant: WireParticipant }),
  z.object({ type: z.literal('participant-updated'), room: RoomName, participant: WireParticipant }),
  z.object({
    type: z.literal('participant-left'),
    room: RoomName,
    participant: WireParticipant,
    reason: Text.optional(),
  }),
  z.object({ type: z.literal('message'), room: RoomName, fromId: z.string().max(128), data: z.unknown() }),
  z.object({ type: z.literal('speech'), speaking: z.boolean(), at: z.number() }),
  z.object({
    type: z.literal('media'),
    report: z.object({
      framesDecoded: Count,
      fps: Count,
      width: Count,
      height: Count,
      audioSamples: Count,
      concealedSamples: Count,
      audioPeak: z.number().min(0).max(1),
    }),
  }),
  z.object({ type: z.literal('video-arrived') }),
  z.object({ type: z.literal('user-speech'), participantId: Id, speaking: z.boolean(), at: z.number() }),
  z.object({
    type: z.literal('media-dropped'),
    media: z.enum(['audio', 'user-audio', 'picture']),
    count: z.int().positive(),
  }),
  z.object({ type: z.literal('played'), samples: Count, waiting: Count }),
  z.object({ type: z.literal('network'), room: RoomName, connected: z.boolean() }),
  z.object({ type: z.literal('evicted'), epoch: z.int() }),
  z.object({
    type: z.literal('lost'),
    room: RoomName,
    code: z.enum(['room-ejected', 'room-lost', 'user-room-refused']),
    reason: Text,
  }),
]);
export type WireEvent = z.infer<typeof WireEvent>;

/** Page → Node. */
export const FromPage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), token: z.string().max(128), identity: Identity }),
  z.discriminatedUnion('ok', [
    z.object({ type: z.literal('answer'), id: z.int(), ok: z.literal(true), result: z.unknown().optional() }),
    z.object({
      type: z.literal('answer'),
      id: z.int(),
      ok: z.literal(false),
      code: z.enum(['room-join-failed', 'user-room-refused', 'message-refused', 'room-lost', 'lease-lost', 'internal']),
      reason: Text,
    }),
  ]),
  z.object({ type: z.literal('event'), event: WireEvent }),
  /** Answer to a heartbeat; `mainAgeMs` is how long the page's main thread has been silent. */
  z.object({ type: z.literal('alive'), mainAgeMs: Count, droppedBytes: Count }),
]);
export type FromPage = z.infer<typeof FromPage>;

/** What the page is told to do. Each is answered, once, by its id. */
export type Command =
  | {
      readonly type: 'join';
      readonly room: 'tavus' | 'user';
      readonly url: string;
      readonly token?: string;
      readonly userName: string;
      readonly hidden: boolean;
      readonly stream: boolean;
      readonly timeoutMs: number;
    }
  /** Whoever asked for the join has gone: undo it, whether it is under way or done. */
  | { readonly type: 'cancel-join'; readonly room: 'tavus' | 'user' }
  | { readonly type: 'publish-stream' }
  | { readonly type: 'unpublish-stream' }
  | { readonly type: 'flush' }
  | { readonly type: 'send'; readonly data: unknown }
  | {
      readonly type: 'watch';
      readonly participantId: string;
      readonly video: boolean;
      readonly audio: boolean;
      readonly pcm: boolean;
      readonly picture?: PictureOptions;
    }
  | { readonly type: 'request-key-frame' }
  | {
      readonly type: 'hear-users';
      readonly room: 'tavus' | 'user';
      readonly participantIds: readonly string[];
    }
  | { readonly type: 'mute-user-room'; readonly on: boolean }
  | { readonly type: 'show-in-user-room'; readonly kind: 'video' | 'audio' }
  | { readonly type: 'end-user-audio'; readonly maxMs: number }
  | { readonly type: 'limit-user-video'; readonly maxFps?: number }
  | { readonly type: 'raise-epoch'; readonly epoch: number }
  | { readonly type: 'leave' };

/** Node → page, text. */
export type FromNode =
  | { readonly type: 'welcome' }
  | { readonly type: 'heartbeat' }
  | { readonly type: 'command'; readonly id: number; readonly identity: Identity; readonly command: Command };
