import type { Hello } from '../wire.ts';
import { rememberConnections } from './connections.ts';
import { PageSession } from './session.ts';

// Before the call machine's script runs, which is with the first join.
rememberConnections();

let started = false;

// Called over the debugging pipe with the session's token as an argument; once.
Object.assign(globalThis, {
  tavusFleet: {
    async start(hello: Hello): Promise<void> {
      if (started) throw new Error('This page has its session.');
      started = true;
      await new PageSession(hello).start();
    },
  },
});
