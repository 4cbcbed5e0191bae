/** What a replica obeys among the app messages of its room. Everything else is ignored without an answer, as Tavus does (no error is documented). */
import { z } from 'zod';

const Echo = z.object({
  message_type: z.literal('conversation'),
  event_type: z.literal('conversation.echo'),
  properties: z.object({
    modality: z.literal('audio'),
    /** base64 of s16le mono */
    audio: z.string(),
    sample_rate: z.coerce.number().int().min(8_000).max(48_000).default(16_000),
    inference_id: z.string().min(1).max(200).default('none'),
    // Documented as boolean and, in older pages, as the text "true".
    done: z
      .union([z.boolean(), z.literal('true').transform(() => true), z.literal('false').transform(() => false)])
      .default(false),
  }),
});
const Interrupt = z.object({
  message_type: z.literal('conversation'),
  event_type: z.literal('conversation.interrupt'),
});

export type Interaction =
  | {
      readonly kind: 'echo';
      readonly base64: string;
      readonly sampleRate: number;
      readonly inferenceId: string;
      readonly isDone: boolean;
    }
  | { readonly kind: 'interrupt' };

export function interactionOf(data: unknown): Interaction | null {
  if (Interrupt.safeParse(data).success) return { kind: 'interrupt' };
  const echo = Echo.safeParse(data);
  if (!echo.success) return null;
  const { audio, sample_rate: sampleRate, inference_id: inferenceId, done } = echo.data.properties;
  return { kind: 'echo', base64: audio, sampleRate, inferenceId, isDone: done };
}
