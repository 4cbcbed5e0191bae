/** One line of `application.transcription_ready` (shape documented; `inference_id` on the assistant's lines only). */
export type TranscriptLine = {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly timestamp: number;
  readonly seconds_from_start: number;
  readonly inference_id?: string;
};

/**
 * What can be said without speech recognition: texts that were sent as texts. Audio leaves no line (our choice: an
 * invented transcript would be a trap). `conversation.respond` counts as the user's words (documented).
 */
export function transcriptOf(
  messages: readonly { at: string; data: unknown }[],
  startedAtMs: number,
): TranscriptLine[] {
  return messages.flatMap(({ at, data }): TranscriptLine[] => {
    if (!isRecord(data) || !isRecord(data['properties'])) return [];
    const { text, modality, inference_id: inferenceId } = data['properties'];
    if (typeof text !== 'string') return [];
    const atMs = Date.parse(at);
    const line = { content: text, timestamp: atMs / 1_000, seconds_from_start: (atMs - startedAtMs) / 1_000 };
    if (data['event_type'] === 'conversation.respond') return [{ role: 'user', ...line }];
    if (data['event_type'] !== 'conversation.echo' || modality !== 'text') return [];
    return [{ role: 'assistant', ...line, ...(typeof inferenceId === 'string' ? { inference_id: inferenceId } : {}) }];
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
