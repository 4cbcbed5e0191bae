import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxEchoBytes } from './echo-sizing.ts';
import {
  appendContextMessage,
  echoMessage,
  echoTextMessage,
  interruptMessage,
  overwriteContextMessage,
  parseMessage,
  respondMessage,
  sensitivityMessage,
} from './messages.ts';

const RUNS = process.env['FULL'] ? 5000 : 200;
const PROPERTY_MS = 300_000; // for FULL; 200 runs take half a second
const head = (event_type: string) => ({ message_type: 'conversation', event_type, conversation_id: 'c1' });

describe('what we send', () => {
  it.each([
    {
      what: 'audio',
      message: echoMessage({
        conversationId: 'c1',
        inferenceId: 'i',
        audio: Uint8Array.of(9, 1, 2, 3).subarray(1),
        sampleRate: 24_000,
        done: false,
      }),
      wire: {
        ...head('conversation.echo'),
        properties: { modality: 'audio', inference_id: 'i', audio: 'AQID', done: false, sample_rate: 24_000 },
      },
    },
    {
      what: 'text',
      message: echoTextMessage('c1', 'hi', { inferenceId: 'i', done: true }),
      wire: {
        ...head('conversation.echo'),
        properties: { modality: 'text', text: 'hi', inference_id: 'i', done: true },
      },
    },
    { what: 'interrupt', message: interruptMessage('c1'), wire: head('conversation.interrupt') },
    {
      what: 'respond',
      message: respondMessage('c1', 'hi'),
      wire: { ...head('conversation.respond'), properties: { text: 'hi' } },
    },
    {
      what: 'append',
      message: appendContextMessage('c1', 'x'),
      wire: { ...head('conversation.append_llm_context'), properties: { context: 'x' } },
    },
    {
      what: 'overwrite',
      message: overwriteContextMessage('c1', 'x'),
      wire: { ...head('conversation.overwrite_llm_context'), properties: { context: 'x' } },
    },
    {
      what: 'sensitivity',
      message: sensitivityMessage('c1', 'pause', 'low'),
      wire: { ...head('conversation.sensitivity'), properties: { participant_pause_sensitivity: 'low' } },
    },
  ])('$what', ({ message, wire }) => {
    expect(message).toEqual(wire);
  });

  it('exceed the 4096 characters of a Daily room with 100 ms at 24 kHz', () => {
    const message = echoMessage({
      conversationId: 'c'.repeat(16),
      inferenceId: '123456',
      audio: new Uint8Array(4800),
      sampleRate: 24_000,
      done: false,
    });
    expect(JSON.stringify(message).length).toBe(6603);
  });
});

describe('maxEchoBytes', () => {
  const ids = fc.record({
    conversationId: fc.string({ maxLength: 64 }),
    inferenceId: fc.string({ unit: 'binary', maxLength: 64 }),
    sampleRate: fc.integer({ min: 8000, max: 48_000 }),
    done: fc.boolean(),
  });

  it(
    'is the most that fits: one sample more does not',
    () => {
      fc.assert(
        fc.property(ids, fc.integer({ min: 1000, max: 100_000 }), (message, limit) => {
          const bytes = maxEchoBytes({ ...message, limit });
          const length = (audioBytes: number): number =>
            JSON.stringify(echoMessage({ ...message, audio: new Uint8Array(audioBytes) })).length;
          expect(bytes % 2).toBe(0);
          expect(length(bytes)).toBeLessThanOrEqual(limit);
          expect(length(bytes + 2)).toBeGreaterThan(limit);
        }),
        { numRuns: RUNS },
      );
    },
    PROPERTY_MS,
  );

  it('is nothing when not even the envelope fits', () => {
    expect(maxEchoBytes({ limit: 100, conversationId: 'c1', inferenceId: 'i', sampleRate: 24_000 })).toBe(0);
  });

  it('is 60 ms at 24 kHz under the limit of 4096', () => {
    expect(
      maxEchoBytes({ limit: 4096, conversationId: 'c'.repeat(16), inferenceId: '123456', sampleRate: 24_000 }),
    ).toBe(2918);
  });
});

describe('what Tavus sends', () => {
  it.each([
    { event_type: 'conversation.utterance', properties: { role: 'replica', speech: 'hi' }, seq: 1 },
    { event_type: 'conversation.replica.started_speaking' },
    {
      event_type: 'conversation.stopped_speaking',
      properties: { role: 'pal', duration: null, interrupted: false, new_field: 1 },
    },
    {
      event_type: 'conversation.tool_call',
      properties: { name: 'f', arguments: '{}' },
      timestamp: '2026-05-22T00:00:00Z',
    },
  ])('$event_type', (message) => {
    expect(parseMessage({ message_type: 'conversation', ...message })).toMatchObject({ known: true, message });
  });

  it.each([
    { data: { event_type: 'conversation.brand_new', properties: 3 }, eventType: 'conversation.brand_new' },
    { data: { event_type: 'conversation.utterance', properties: 'odd' }, eventType: 'conversation.utterance' },
    { data: 'text', eventType: undefined },
    { data: null, eventType: undefined },
  ])('is never an error: $data', ({ data, eventType }) => {
    expect(parseMessage(data)).toEqual({ known: false, eventType });
  });
});
