export type { ConversationApi } from './conversation-api.ts';
export type { DropReason, FrameIn, FrameOut, FrameSink, Position } from './frames.ts';
export { TavusVideoService, type TavusVideoServiceOptions } from './service.ts';
export { TavusVideoSettings } from './settings.ts';
