export type {
  ConversationPage,
  CreatedConversation,
  TavusConversation,
  TavusPersona,
  TavusReplica,
} from './answers.ts';
export * from './callbacks.ts';
export type { Permit } from './permit.ts';
export * from './client.ts';
export type { TavusNames } from './create-body.ts';
export * from './echo-sizing.ts';
export { saysUnknownConversation, TavusFailure } from './errors.ts';
export * from './fake-tavus-api.ts';
export type { CallOptions, RequestStatus, Route } from './http.ts';
export * from './messages.ts';
export * from './port.ts';
export * from './speaking-events.ts';
