export { audioModeOf } from './audio-mode.ts';
export type { ConversationApi } from './conversation-api.ts';
export { directConversations, type DirectOptions } from './direct-conversations.ts';
export type {
  Direction,
  DropReason,
  FrameIn,
  FrameOut,
  FrameSink,
  PassedFrame,
  Position,
  ProcessorFrame,
  Progress,
} from './frames.ts';
export type { TavusVideoServiceOptions } from './options.ts';
export { findReplica, isBot } from './replica.ts';
export { TavusVideoService } from './service.ts';
export { TavusVideoSettings } from './settings.ts';
