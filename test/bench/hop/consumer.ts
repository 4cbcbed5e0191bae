// One side of the comparison as a process of its own.
import { readBare } from './bare.ts';
import { Latencies } from './latencies.ts';
import type { FromConsumer, ToConsumer } from './messages.ts';
import { startSessions } from './worker-side.ts';

const latencies = new Latencies();
const send = (message: FromConsumer): void => void process.send?.(message);

process.on('message', (message) => void receive(message as ToConsumer)); // our own parent wrote it
process.on('disconnect', () => process.exit(0));

async function receive(message: ToConsumer): Promise<void> {
  switch (message.type) {
    case 'start': {
      const start = message.side === 'bare' ? readBare : startSessions;
      await start(message.url, message.prefix, message.conversations, latencies);
      return send({ type: 'ready' });
    }
    case 'reset':
      return latencies.reset();
    case 'collect':
      return send({ type: 'round', round: latencies.collect() });
    default:
      return message satisfies never;
  }
}
