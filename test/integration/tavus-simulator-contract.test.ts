// The simulator's REST and our client, written from the same documents by different hands, against each other:
// the contract that the fake keeps must hold here too.
import { fileURLToPath } from 'node:url';
import { createTavusClient } from '@tavus-fleet/tavus';
import { tavusApiContract } from '@tavus-fleet/tavus/contract';
import { startService } from '@tavus-fleet/testkit/service-process';

const main = fileURLToPath(new URL('../../services/simulator/src/main.ts', import.meta.url));

for (const names of ['replica', 'face'] as const) {
  tavusApiContract(`the client (${names} names) at the simulator`, async () => {
    const signal = AbortSignal.timeout(60_000);
    const env = { PATH: process.env['PATH'], SIMULATOR_PORT: '0', LOG_LEVEL: 'info' };
    const simulator = await startService({ name: 'simulator', main, env }, signal);
    // Nobody looks at a replica here, and a browser for each would take longer than all the rest.
    const off = await fetch(`${simulator.url}/sim/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fault: 'replica-never-joins', count: 100 }),
      signal,
    });
    if (!off.ok) throw new Error(`The simulator refused the fault: ${off.status} ${await off.text()}`);
    const api = createTavusClient({ baseUrl: simulator.url, apiKey: 'any', names });
    return {
      api,
      active: async () => {
        const ids: string[] = [];
        for await (const row of api.allConversations({ status: 'active' }, { signal })) ids.push(row.conversationId);
        return ids;
      },
      close: async () => {
        await api.close();
        await simulator.stop();
      },
    };
  });
}
