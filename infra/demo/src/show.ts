import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { connectRedis, silentLog } from '@tavus-fleet/redis';
import { Stack } from '@tavus-fleet/testkit';
import { DemoConversation } from './fleet.ts';
import { DemoPage } from './page-server.ts';
import { say, speech } from './speech.ts';
import { stopped } from './serve.ts';
import { troubles } from './troubles.ts';

const PAUSE_MS = 3_000;

/** Everything for the eye and the ear: one conversation that keeps speaking, and a page where it is seen and heard. */
export async function show(env: Readonly<Record<string, string | undefined>>, stop: AbortSignal): Promise<number> {
  const stack = await Stack.start({ env: env, onLine: troubles }, stop);
  try {
    const name = `demo-${randomBytes(4).toString('hex')}`;
    const room = `${stack.simulator.url}/rooms/${name}`;
    await using page = await DemoPage.start(`${stack.simulator.url}/watch/${name}`);
    // Nobody may be watching yet: the page's address is printed first.
    const conversation = await DemoConversation.start(
      stack.api.url,
      stack.apiKey,
      {
        replicaId: 'r-demo',
        output: { room: { url: room } },
        limits: { emptyRoomSeconds: 3_600, idleTimeoutSeconds: 3_600 },
      },
      stop,
    );
    conversation.on((event) => page.tell(event));
    process.stdout.write(`The avatar is seen and heard at ${page.url}   (Ctrl-C ends it)\n`);
    await conversation.until('live', ({ type, data }) => type === 'state' && data['state'] === 'live', 60_000);
    await Promise.race([speak(stack.redisUrl, conversation.id, stop), stopped(stop), conversation.finished]);
    if (!stop.aborted) return 0;
    await conversation.post('cancel');
    return 0;
  } finally {
    await stack.close();
  }
}

/** The recorded text again and again, once at 24 kHz and once at 16 kHz. */
async function speak(redisUrl: string, conversationId: string, stop: AbortSignal): Promise<void> {
  const redis = connectRedis(redisUrl, { role: 'commands', name: 'demo', log: silentLog });
  try {
    for (;;) {
      for (const file of ['speech-24k.wav', 'speech-16k.wav'] as const) {
        await say(redis, conversationId, speech(file), 'live', stop);
        await pause(PAUSE_MS, undefined, { signal: stop });
      }
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    redis.disconnect();
  }
}
