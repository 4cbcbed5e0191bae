import type { VoiceReport } from './voice/voice.ts';

/**
 * Tavus' speaking events for one conversation, the legacy and the unified form of each (documented by Tavus: both are
 * sent, consumers de-duplicate), with the rising `seq` that all its messages share.
 */
export class SpeakingEvents {
  readonly #conversationId: string;
  readonly #newId: () => string;
  #seq = 0;
  #current: string | null = null;

  constructor(conversationId: string, newId: () => string) {
    this.#conversationId = conversationId;
    this.#newId = newId;
  }

  /** The messages to send for a turn's start or end. In stream mode nobody names the utterance, so it gets an id here. */
  messages(report: Extract<VoiceReport, { kind: 'started' | 'stopped' }>, nowMs: number): Record<string, unknown>[] {
    if (report.kind === 'started') this.#current = report.inferenceId ?? this.#newId();
    const inferenceId = report.inferenceId ?? this.#current ?? this.#newId();
    const verb = report.kind === 'started' ? 'started_speaking' : 'stopped_speaking';
    const properties =
      report.kind === 'started'
        ? {}
        : { interrupted: report.interrupted, duration: Math.round(report.seconds * 1000) / 1000 };
    const envelope = (event: string, own: object): Record<string, unknown> => {
      this.#seq += 1;
      return {
        message_type: 'conversation',
        event_type: event,
        conversation_id: this.#conversationId,
        inference_id: inferenceId,
        seq: this.#seq,
        timestamp: nowMs / 1000,
        properties: own,
      };
    };
    return [
      envelope(`conversation.replica.${verb}`, properties),
      envelope(`conversation.${verb}`, { role: 'replica', ...properties }),
    ];
  }
}
