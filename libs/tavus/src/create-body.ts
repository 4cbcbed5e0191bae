import type { CreateConversation } from './port.ts';

/** Tavus' two vocabularies: the old one, and the one it took up in June 2026. Answers are understood in both. */
export type TavusNames = 'replica' | 'face';

const words = {
  replica: { replica: 'replica_id', persona: 'persona_id', replicas: 'replicas', personas: 'personas' },
  face: { replica: 'face_id', persona: 'pal_id', replicas: 'faces', personas: 'pals' },
} as const satisfies Record<TavusNames, Record<string, string>>;

/** Path segment of the collections in that vocabulary. */
export const collections = (names: TavusNames): { replicas: string; personas: string } => words[names];

/** The JSON body of POST /v2/conversations; what is undefined is left out by JSON. */
export function createBody(request: CreateConversation, names: TavusNames): Record<string, unknown> {
  const properties = request.properties;
  return {
    [words[names].replica]: request.replicaId,
    [words[names].persona]: request.personaId,
    conversation_name: request.conversationName,
    callback_url: request.callbackUrl,
    audio_only: request.audioOnly,
    conversational_context: request.conversationalContext,
    custom_greeting: request.customGreeting,
    test_mode: request.testMode,
    properties: properties && {
      max_call_duration: properties.maxCallDurationSeconds,
      participant_left_timeout: properties.participantLeftTimeoutSeconds,
      participant_absent_timeout: properties.participantAbsentTimeoutSeconds,
      languages: properties.languages,
      apply_greenscreen: properties.applyGreenscreen,
      enable_recording: properties.enableRecording,
      enable_closed_captions: properties.enableClosedCaptions,
    },
  };
}
