import { expect, test } from 'vitest';
import { ShutdownWord } from './shutdown-word.ts';

function word(formerId: string | undefined): { word: ShutdownWord; codes: string[] } {
  const codes: string[] = [];
  const record = { tavusConversationId: formerId, spec: { limits: { maxDurationSeconds: 60 } } };
  return {
    word: new ShutdownWord(
      record,
      () => 60_000,
      (error) => codes.push(error.code),
    ),
    codes,
  };
}

test('counts for the call that the session is in, at once', () => {
  const { word: shutdown, codes } = word(undefined);
  shutdown.uses('t1');
  shutdown.told('max_call_duration reached');
  expect(codes).toEqual(['tavus-over']);
});

test('that came before counts if the session goes back into that same call', () => {
  const { word: shutdown, codes } = word('t1');
  shutdown.told('max_call_duration reached');
  expect(codes).toEqual([]);
  shutdown.uses('t1');
  expect(codes).toEqual(['tavus-over']);
});

test('on a call that the session has replaced is nothing to it; the next one is', () => {
  const { word: shutdown, codes } = word('t1');
  shutdown.told('end_conversation_endpoint_hit');
  shutdown.uses('t2');
  expect(codes).toEqual([]);
  shutdown.told('end_conversation_endpoint_hit');
  expect(codes).toHaveLength(1);
});
