// The browser's stand-in, a process of its own as a browser is: one played page per conversation, each of which consumes its
// ring in real time and reports it, as the worklet does.
import { connectFakePage, type FakePage } from '@tavus-fleet/rooms/fake-page';
import type { FromPages, ToPages } from './messages.ts';

const RATE_PER_MS = 24;
const REPORT_MS = 100;
const REPLICA = { id: 'replica', userId: 'tavus-replica', userName: 'Replica', local: false, tracks: {} };

process.on('message', (message) => {
  const { url, token, conversationId } = message as ToPages; // our own parent wrote it
  void open(url, token, conversationId);
});
process.on('disconnect', () => process.exit(0));

async function open(url: string, token: string, conversationId: string): Promise<void> {
  const page = await connectFakePage(url, token, { conversationId, epoch: 1 });
  const answer = page.answer;
  page.answer = (id, command) => {
    const usual = answer(id, command);
    if (command.type !== 'join' || !usual || usual.type !== 'answer' || !usual.ok) return usual;
    const local = { id: 'local', userName: command.userName, local: true, tracks: {} };
    return { ...usual, result: { participantId: 'local', participants: [local, REPLICA], maxMessageLength: 4_096 } };
  };
  play(page);
  process.send?.({ opened: conversationId } satisfies FromPages);
}

function play(page: FakePage): void {
  let consumed = 0;
  let at = performance.now();
  let seconds = 0;
  // A replica that sends nothing would be given up.
  setInterval(() => {
    seconds += 1;
    page.emit({
      type: 'media',
      report: {
        framesDecoded: seconds * 24,
        fps: 24,
        width: 640,
        height: 360,
        audioSamples: seconds * 48_000,
        concealedSamples: 0,
        audioPeak: 0.1,
      },
    });
  }, 1_000);
  setInterval(() => {
    const now = performance.now();
    const received = page.receivedBytes / 2;
    const next = Math.min(received, consumed + Math.round((now - at) * RATE_PER_MS));
    at = now;
    if (next === consumed) return;
    consumed = next;
    page.emit({ type: 'played', samples: consumed, waiting: received - consumed });
  }, REPORT_MS);
}
