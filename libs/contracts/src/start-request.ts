import { z } from 'zod';
import { ConversationId } from './ids.ts';
import { SettingsDelta } from './settings.ts';

/** Rates that the audio path accepts, Hz. Outside of it a rate is a mistake, not a format. */
export const SampleRate = z.int().min(8000).max(48000);

/** Where the avatar is re-published. `url` is checked against USER_ROOM_HOSTS, see room-url.ts. */
export const UserRoom = z.strictObject({
  url: z.string().min(1).max(512),
  token: z.string().min(1).max(4096).optional(),
  name: z.string().min(1).max(64).optional(),
});
export type UserRoom = z.infer<typeof UserRoom>;

const VideoStream = z
  .union([
    z.literal(false),
    z.strictObject({
      format: z.enum(['jpeg', 'encoded']),
      maxFps: z.number().positive().max(60).optional(),
      width: z.int().min(16).max(1920).optional(),
    }),
  ])
  .refine((video) => video === false || video.format !== 'jpeg' || (video.maxFps ?? 5) <= 5, {
    message: 'maxFps must be at most 5 for jpeg',
  });

export const Output = z.strictObject({
  room: UserRoom.optional(),
  streams: z.strictObject({ audio: z.boolean().default(false), video: VideoStream.default(false) }).optional(),
  direct: z.boolean().optional(),
  userAudio: z.boolean().optional(),
});

/** What ends a conversation that nobody feeds, watches or can start. Seconds. */
export const Limits = z.strictObject({
  maxDurationSeconds: z.int().min(1).max(3600).default(3600),
  idleTimeoutSeconds: z.int().min(1).max(3600).default(300),
  emptyRoomSeconds: z.int().min(1).max(3600).default(60),
  startTimeoutSeconds: z.int().min(1).max(3600).default(120),
});
export type Limits = z.infer<typeof Limits>;

const TavusOptions = z.strictObject({
  conversationName: z.string().min(1).max(40).optional(),
  conversationalContext: z.string().max(16_384).optional(),
  customGreeting: z.string().max(2048).optional(),
  audioOnly: z.boolean().optional(),
  properties: z
    .strictObject({
      languages: z.array(z.string().min(2).max(35)).max(16).optional(),
      applyGreenscreen: z.boolean().optional(),
      enableRecording: z.boolean().optional(),
      enableClosedCaptions: z.boolean().optional(),
    })
    .optional(),
});

/** The body of `POST /v1/conversations` and of a `start` job. Unknown keys are refused, so that a typo is not silence. */
export const StartRequest = z.strictObject({
  conversationId: ConversationId.optional(),
  replicaId: z.string().min(1).max(128),
  personaId: z.string().min(1).max(128).default('pipecat-stream'),
  settings: SettingsDelta.optional(),
  audio: z
    .strictObject({ mode: z.enum(['stream', 'echo', 'auto']).default('auto'), sampleRate: SampleRate.default(24_000) })
    .prefault({}),
  output: Output.prefault({}),
  tavus: TavusOptions.prefault({}),
  limits: Limits.prefault({}),
  metadata: z.record(z.string().max(64), z.union([z.string().max(1024), z.number(), z.boolean(), z.null()])).optional(),
});
/** As a caller writes it (defaults may be left out). */
export type StartRequestInput = z.input<typeof StartRequest>;
/** As everything inside sees it (defaults filled). */
export type StartRequest = z.infer<typeof StartRequest>;

/** The request without what must never be read back or logged: kept in the record. */
export const ConversationSpec = StartRequest.omit({ conversationId: true }).extend({
  output: Output.omit({ room: true }).extend({ room: z.strictObject({ name: z.string().optional() }).optional() }),
});
export type ConversationSpec = z.infer<typeof ConversationSpec>;

/** Kept apart from the record: never returned, never logged, deleted at the end. */
export type ConversationSecrets = { readonly userRoomUrl?: string; readonly userRoomToken?: string };

/** Splits a parsed request into the readable spec and the secrets. */
export function splitRequest(request: StartRequest): { spec: ConversationSpec; secrets: ConversationSecrets } {
  const { conversationId: _, output, ...rest } = request;
  const { room, ...others } = output;
  return {
    spec: {
      ...rest,
      output: { ...others, ...(room ? { room: room.name === undefined ? {} : { name: room.name } } : {}) },
    },
    secrets: {
      ...(room ? { userRoomUrl: room.url } : {}),
      ...(room?.token === undefined ? {} : { userRoomToken: room.token }),
    },
  };
}
