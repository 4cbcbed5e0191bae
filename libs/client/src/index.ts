/** Talking avatars for a backend: start one, let it speak, watch it, stop it. */
export { createFleet, type Fleet, type FleetOptions } from './fleet.ts';
export type { CallOptions, Conversation, ReadOptions } from './conversation.ts';
export type { AudioBlock, Picture, UserAudioBlock } from './media.ts';
export type { Pcm, Played, Said } from './utterance.ts';
export type { SayOptions } from './utterances.ts';
export {
  FleetError,
  type ConversationState,
  type ConversationView,
  type EndReason,
  type ErrorCode,
  type EventEnvelope,
  type EventPayload,
  type EventType,
  type SettingsDelta,
  type StartRequestInput as StartRequest,
} from '@tavus-fleet/contracts';
